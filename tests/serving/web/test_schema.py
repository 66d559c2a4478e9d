"""The service against its own OpenAPI description, with requests made by schemathesis."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
QUIET = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.generate),
    "derandomize": True,
}


def check_every_operation(served, examples):
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) >= 8
    for operation in operations:
        takes_nothing = not (operation.body or operation.query)
        for mode in schemathesis.GenerationMode:
            if takes_nothing and mode.is_negative:
                continue  # there is nothing to get wrong

            @settings(max_examples=examples, **QUIET)
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case):
                case.call_and_validate(checks=CHECKS)

            check()


def test_every_operation_answers_as_described(served):
    check_every_operation(served, examples=6)


@pytest.mark.slow
def test_every_operation_answers_as_described_many_times(served):
    check_every_operation(served, examples=300)
