"""Names of the core fraud rules and of the families that support is told, in English and Chinese."""

from results.words import plain

# Family: what support says, in both languages.
FAMILIES = {
    "claims": ("how often coupons are claimed", "领取频次"),
    "accounts": ("several accounts, one device or network", "同设备同网络多账户"),
    "account": ("a customer's devices, networks and addresses", "账户异动"),
    "registration": ("registration and invitations", "注册与邀请"),
    "new": ("new accounts", "新账户"),
    "orders": ("orders that are not paid or cancelled, and their hours", "订单异常"),
    "payment": ("cards and payments", "支付与银行卡"),
    "place": ("place", "位置异常"),
    "list": ("lists", "名单"),
    "network": ("data centres and proxies", "代理与机房网络"),
    "machine": ("machines", "机器行为"),
    "transfer": ("money and coupons passed on", "转账与转赠"),
    "log_in": ("failed log-ins", "登录失败"),
    "group": ("group buys", "拼团"),
    "own": ("a rule of this policy", "自定义规则"),
}

# Rule of the core: its family, and its name in English and Chinese.
RULES = {
    "claims_per_campaign": ("claims", "claims of one campaign", "单活动领取次数"),
    "claims_a_day": ("claims", "claims a day", "每日领取次数"),
    "claims_per_ip": ("claims", "claims from one IP address", "同一 IP 领取次数"),
    "claims_per_device": ("claims", "claims from one device", "同一设备领取次数"),
    "accounts_per_device": ("accounts", "accounts on one device", "同一设备账户数"),
    "customers_per_ip": ("accounts", "customers logging in from one IP address", "同一 IP 登录账户数"),
    "devices_per_ip": ("accounts", "devices behind one IP address", "同一 IP 设备数"),
    "devices_per_customer": ("account", "devices of one customer", "单客户设备数"),
    "ips_per_customer": ("account", "IP addresses of one customer", "单客户 IP 数"),
    "registrations_per_ip": ("registration", "registrations from one IP address", "同一 IP 注册次数"),
    "registrations_per_device": ("registration", "registrations on one device", "同一设备注册次数"),
    "young_account": ("new", "a new account and a coupon of high value", "新账户领高额券"),
    "invite_code_burst": ("registration", "registrations with one invite code", "邀请码集中使用"),
    "self_referral": ("registration", "inviting oneself", "自我邀请"),
    "referral_cycle": ("registration", "invitations in a circle", "循环邀请"),
    "unpaid_orders": ("orders", "orders held and not paid", "占单未付"),
    "cancelled_orders": ("orders", "cancelled orders", "频繁取消订单"),
    "coupons_to_one_address": ("accounts", "coupons of many customers to one address", "同一地址用券账户数"),
    "addresses_per_customer": ("account", "addresses of one customer", "单客户地址数"),
    "ordering_customers_per_device": ("accounts", "customers ordering on one device", "同一设备下单账户数"),
    "ordering_customers_per_ip": ("accounts", "customers ordering from one IP address", "同一 IP 下单账户数"),
    "card_attempts": ("payment", "attempts with one card", "同一银行卡支付尝试"),
    "cards_per_customer": ("payment", "cards of one customer", "单客户银行卡数"),
    "customers_per_card": ("payment", "customers with one card", "同一银行卡账户数"),
    "retry_after_decline": ("payment", "a new attempt right after a decline", "支付失败后立即重试"),
    "payment_failures": ("payment", "failed payments", "连续支付失败"),
    "impossible_travel": ("place", "impossible travel", "异地瞬移"),
    "outside_region": ("place", "outside the coupon's region", "超出券使用区域"),
    "listed": ("list", "on the block list", "黑名单"),
    "proxy_ip": ("network", "an IP address of a data centre or proxy", "代理或机房 IP"),
    "bot_pace": ("machine", "the pace of a machine", "机器速率"),
    "claim_without_browsing": ("machine", "claims without browsing", "无浏览领券"),
    "small_transfers": ("transfer", "many small transfers", "频繁小额转账"),
    "night_burst": ("orders", "a burst of orders at night", "夜间集中下单"),
    "failed_logins": ("log_in", "failed log-ins of one customer", "单客户登录失败"),
    "failed_logins_per_ip": ("log_in", "failed log-ins from one IP address", "同一 IP 登录失败账户数"),
    "script_user_agent": ("machine", "a script", "脚本客户端"),
    "check_in_farming": ("accounts", "check-ins of many customers on one device", "同一设备批量签到"),
    "coupons_gathered": ("transfer", "coupons gathered from many customers", "券集中转入"),
    "group_collusion": ("group", "members of a group buy who share a device or address", "拼团串通"),
}


def both(names: tuple[str, str]) -> str:
    return " ".join(names)


def rule_name(name: str) -> str:
    """A rule in both languages; one of the policy's own by its name."""
    return both(RULES[name][1:]) if name in RULES else plain(name)


def rule_family(name: str) -> str:
    """The family of a rule in both languages."""
    return both(FAMILIES[RULES[name][0] if name in RULES else "own"])
