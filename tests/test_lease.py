from netwatch.lease import Claim, Deny, Grant, Situation, admit
from tests.worlds import check

CHECK = check("na-tau/line/bandwidth")


def test_a_check_that_claims_nothing_always_may_run():
    assert admit(CHECK, (), 5.0, Situation(used={}, capacity={})) == Grant()


def test_claims_together_stay_under_the_capacity_of_what_they_share():
    ring = (Claim("ring/tuan-giao", 115e6),)
    situation = Situation(used={"ring/tuan-giao": 400e6}, capacity={"ring/tuan-giao": 500e6})
    refused = admit(CHECK, ring, 5.0, situation)
    assert isinstance(refused, Deny)
    assert refused.retry_at == 10.0
    assert admit(CHECK, ring, 5.0, Situation(used={}, capacity={"ring/tuan-giao": 500e6})) == Grant(ring)


def test_a_resource_without_a_capacity_is_free():
    assert admit(CHECK, (Claim("line", 1e12),), 0.0, Situation(used={"line": 1e12}, capacity={})) == Grant((Claim("line", 1e12),))
