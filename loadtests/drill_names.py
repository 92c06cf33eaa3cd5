"""The drills by name, and what each breaks."""

FULL_FOR_S, SLOW_S = 3.0, 0.25  # how long a disk takes nothing, and how much longer a slow one takes for a sync

MOVED_TO = "node-2"

SENTENCES = {
    "kill-shard": "the process of a shard is killed",
    "kill-ledger": "the process of the Ledger is killed",
    "kill-worker": "the process that sends the batches is killed",
    "lose-node": "the node of all leaders is gone (a raylet of its own)",
    "random-kills": "processes of shards and the Ledger are killed at random",
    "freeze-shard": "the process of a shard stands still (SIGSTOP)",
    "torn-tail": "the process of a shard dies in the middle of a write",
    "full-disk": f"the disk of a shard is full for {FULL_FOR_S:.0f} s (a quota)",
    "slow-fsync": f"each fsync of a shard takes {SLOW_S * 1000:.0f} ms longer",
    "move-shard": "a shard moves to another node (its customers are served meanwhile)",
    "site-failover": "the first of two sites is gone, and a person has the second take over",
    "scale-out": "a burst comes that one node cannot bear (emulated nodes of a fixed rate)",
}
NO_ADDRESS = ("lose-node", "site-failover")  # these bring clusters of their own
MAY_FORGET = (  # drills that are also held to a promise that lets something be forgotten
    "kill-shard", "kill-ledger", "random-kills", "torn-tail", "freeze-shard", "lose-node",
)  # fmt: skip
