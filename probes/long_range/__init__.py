"""Long range: clips of seconds to a minute stay what they were: colour, sharpness, layout, objects, their number, the character.

Company scores a share of the clip: a fault that comes late costs less than one that comes early. Slow look and entries multiply such a
share by drift, or by the number of unexplained entries. All three have the time at which the claim breaks (`breaks_at_s`) among their
components. Several shots is the mean over the later shots, long absence a product. A clip that stands still, repeats itself or cuts away
breaks every claim about one take.
"""

from sora_eval.probes.long_range.absence import LongAbsence
from sora_eval.probes.long_range.company import Company
from sora_eval.probes.long_range.entries import Entries
from sora_eval.probes.long_range.shots import SeveralShots
from sora_eval.probes.long_range.slow_look import SlowLook

__all__ = ["Company", "Entries", "LongAbsence", "SeveralShots", "SlowLook"]
