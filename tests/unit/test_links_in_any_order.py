"""The link table: whatever comes in whatever order, what serves in the end is what was last asked for."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from provider_sdk import LinkKey
from tests.unit.test_links import a_table, spec
from tests.waiting import until

WORDS = st.sampled_from(["a", "b", "c"])
PEERS = st.sampled_from(["MA", "MB"])
STEPS = st.lists(st.tuples(PEERS, st.one_of(st.none(), WORDS), st.sampled_from([0.0, 0.002])), max_size=25)


@given(STEPS)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_after_any_sequence_of_puts_and_deletes_what_was_last_asked_for_serves(steps: list[tuple[str, str | None, float]]) -> None:
    async def scenario() -> None:
        last: dict[str, str | None] = {}
        async with a_table() as (table, _):
            for peer, word, pause in steps:
                key = LinkKey(peer, "acme:words", "default")
                last[peer] = word
                if word is None:
                    table.delete(key)
                else:
                    table.put(spec(word, key))
                await asyncio.sleep(pause)
            wanted = {peer: word for peer, word in last.items() if word is not None}

            def settled() -> bool:
                serving = {entry.key.peer: entry.serving.spec.values["word"] for entry in table if entry.serving is not None}
                return serving == wanted and len(list(table)) == len(wanted)

            await until(settled)

    asyncio.run(scenario())
