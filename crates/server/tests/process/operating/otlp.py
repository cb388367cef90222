"""Reads what was sent to a collector by the schema that OpenTelemetry publishes.

Standard input: one body per line. Standard output: one line per span, `name kind attributes`.
A field that the schema does not have, or a value of another type, is an error.
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def in_base64(node):
    """OTLP writes ids in hexadecimal, where protobuf's own JSON has base64."""
    if isinstance(node, list):
        return [in_base64(item) for item in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode() if name in ids else in_base64(value)
        for name, value in node.items()
    }


for line in sys.stdin:
    request = json_format.ParseDict(in_base64(json.loads(line)), ExportTraceServiceRequest())
    for resource in request.resource_spans:
        service = {each.key: each.value.string_value for each in resource.resource.attributes}
        assert service["service.name"] == "counterfoil", service
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
                print(span.name, span.kind, len(span.attributes))
