"""Large requests over OTLP/gRPC, all at once, each on a connection of its own: `large_grpc.py COUNT BYTES`.

Prints how many were taken and how many were told to come again. Any other end is printed on the error output, and is a failure for the journey."""

import os
import sys
import threading

import grpc

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
count, size = int(sys.argv[1]), int(sys.argv[2])


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


# A field that OTLP does not have (15, of bytes): valid, and without a single line in it.
request = b"\x7a" + varint(size) + b"\0" * size
taken, shed = [], []


def send():
    channel = grpc.insecure_channel(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://"), [("grpc.use_local_subchannel_pool", 1)])
    try:
        channel.unary_unary(EXPORT)(request, timeout=60)
        taken.append(1)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            shed.append(1)
        else:
            print(error.code(), error.details(), file=sys.stderr)


threads = [threading.Thread(target=send) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(taken), len(shed))
