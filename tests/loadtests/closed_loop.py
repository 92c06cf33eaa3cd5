"""An ordinary locustfile, as most are written: a user asks again once it is answered. For tests."""

from locust import FastHttpUser, constant_throughput, task


class Closed(FastHttpUser):
    """One of a few, 50 requests a second as long as it is answered."""

    wait_time = constant_throughput(50)

    @task
    def ask(self) -> None:
        self.client.get("/offer?uid=3&page=home")
