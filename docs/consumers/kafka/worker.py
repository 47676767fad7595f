"""Produces messages to the topic orders of Kafka and consumes that topic, with tokens of Hallpass.

confluent-kafka is librdkafka for Python. It asks for a token at the start, and again before that one expires.
"""

import base64
import json
import os
import pathlib
import ssl
import time
import urllib.request
from urllib.parse import quote_plus, urlencode

from confluent_kafka import Consumer, Producer

MOUNTED = pathlib.Path(os.environ.get("HALLPASS_DIR", "/etc/oauth2"))


def fetch(_config):
    """Returns a token and when it expires. The files are read for each, because the kubelet replaces them."""
    internal, ca = MOUNTED / "internal_token_url", MOUNTED / "ca.crt"
    endpoint = internal if internal.exists() else MOUNTED / "token_url"
    client_id, secret, url = (file.read_text() for file in (MOUNTED / "client_id", MOUNTED / "client_secret", endpoint))
    form = {"grant_type": "client_credentials", "resource": os.environ["RESOURCE"]}
    request = urllib.request.Request(url, data=urlencode(form).encode())
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"  # RFC 6749 section 2.3.1
    request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    trust = ssl.create_default_context(cafile=ca if ca.exists() else None)
    with urllib.request.urlopen(request, timeout=10, context=trust) as response:
        answer = json.load(response)
    # librdkafka asks again after 80 percent of this time, and gives connections another token after
    # 90 percent of its life: let there be a new one by then.
    return answer["access_token"], time.time() + 0.9 * answer["expires_in"]


CONNECTION = {
    "bootstrap.servers": os.environ["KAFKA_BROKERS"],
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": os.environ["KAFKA_CA_FILE"],
    "sasl.mechanisms": "OAUTHBEARER",
    "oauth_cb": fetch,
    "error_cb": lambda error: print("error:", error, flush=True),
}


def delivered(error, _message):
    if error:
        print("produce:", error, flush=True)


def main():
    producer = Producer(CONNECTION | {"delivery.timeout.ms": 10000})
    consumer = Consumer(CONNECTION | {"group.id": "orders-python"})
    consumer.subscribe(["orders"])
    sent, due = 0, time.monotonic()
    while True:
        if time.monotonic() >= due:
            sent, due = sent + 1, due + 1
            producer.produce("orders", f"{os.environ['NAME']} {sent}", on_delivery=delivered)
        # Both polls also call fetch when another token is due.
        producer.poll(0)
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            print("consume:", message.error(), flush=True)
        else:
            print("received", message.value().decode(), flush=True)


if __name__ == "__main__":
    main()
