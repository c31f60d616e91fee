"""Sends the journeys of COUNT people with Segment's SDK for Python: python_segment.py HOST WRITE_KEY NAME COUNT PAUSE_MS."""

import sys
import time

from segment.analytics.client import Client

host, write_key, name, count, pause_ms = sys.argv[1:]
lost = []


def give_up(error, items):
    print(error, file=sys.stderr)
    lost.extend(items)


client = Client(write_key, host=host, gzip=True, upload_size=5, max_retries=30, on_error=give_up)
for number in range(int(count)):
    user = f"{name}-{number}"
    campaign = {"campaign": {"source": "baidu", "medium": "cpc", "name": "spring"}}
    client.page(user, name="Landing", properties={"url": "https://www.a.example/"}, context=campaign)
    client.identify(user, {"email": f"{user}@b-corp.example", "name": user})
    client.group(user, f"account-{user}", {"industry": "steel"})
    client.track(user, "Form Submitted", {"form": "demo"})
    client.track(user, "Deal Won", {"object_id": user, "value": "100.00", "currency": "CNY"})
    # As browsers draw them: 32 digits.
    client.alias(user.encode().hex().zfill(32), user)
    time.sleep(int(pause_ms) / 1000)
client.flush()
client.shutdown()
sys.exit(f"{len(lost)} messages were given up" if lost else 0)
