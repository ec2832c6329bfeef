"""What a recorder over any storage should answer, in plain Python: the model of the machine."""

from attrs import define, field, frozen

GAP = 1000


@frozen
class Kept:
    """An event as the recorder acknowledged it."""

    seq: int
    ts: str
    type: str
    data: object
    run_id: str | None
    id: str | None
    make_current: bool
    is_stored: bool


def kept(event):
    """Return what is compared of *event*."""
    return Kept(
        event.seq,
        event.ts,
        event.type,
        event.data,
        event.run_id,
        event.id,
        event.make_current,
        event.store_permanently,
    )


@define
class Model:
    """All that was acknowledged, less what a damaged file has lost."""

    events: list = field(factory=list)
    ephemeral: list = field(factory=list)
    runs: dict = field(factory=dict)
    active: str | None = None
    last_seq: int = 0
    miscounted: set = field(factory=set)
    _is_fresh: bool = True

    def take(self, one):
        """Take account of a new event."""
        (self.events if one.is_stored else self.ephemeral).append(one)
        self.last_seq = one.seq

    def known(self, event_id):
        """Return the stored event of that id, or `None`."""
        found = (one for one in self.events if event_id is not None and one.id == event_id)
        return next(found, None)

    def start(self, run_id):
        """Make a run active."""
        self.active = run_id
        self.runs[run_id] = True

    def stop(self):
        """End the active run."""
        self.runs[self.active] = False
        self.active = None

    def reopen(self):
        """Know no more which ephemeral events are remembered."""
        self._is_fresh = False

    def is_last_in_open_file(self):
        """Return whether the event stored last is in a file that more may be written to."""
        return bool(self.events) and self.events[-1].run_id in {None, self.active}

    def forget_ephemeral(self):
        """
        Forget what stands in no line.

        A storage that finds lines only leaves a gap behind the last one; numbers that were given
        beyond the gap nobody can know of.
        """
        stored = self.events[-1].seq if self.events else 0
        if stored == 0 or self.last_seq - stored >= GAP:
            self.last_seq = stored
        self.ephemeral.clear()

    def lose_last(self):
        """Lose the event stored last, as a power cut does."""
        lost = self.events.pop()
        self.miscounted.add(lost.run_id)

    def current(self, found):
        """
        Return what may be current, given that *found* is.

        An ephemeral event may be forgotten when the storage is opened again; then an older one may
        stand in its place, but none older than the last stored one.
        """
        wanted = {one.type: one for one in self.events if one.make_current}
        asking = [one for one in self.ephemeral if one.make_current]
        newer = [one for one in asking if one.seq > self._stored_seq(wanted, one.type)]
        if self._is_fresh:
            return wanted | {one.type: one for one in newer}
        return wanted | {one.type: one for one in newer if found.get(one.type) == one}

    def select(self, selection):
        """Return the stored events that *selection* asks for."""
        chosen = [one for one in self.events if self._is_selected(one, selection)]
        if "last" in selection:
            return chosen[max(0, len(chosen) - selection["last"]) :]
        return chosen[: selection.get("limit")]

    @staticmethod
    def _is_selected(one, selection):
        return (
            ("run" not in selection or one.run_id == selection["run"])
            and ("stream" not in selection or one.run_id is None)
            and ("types" not in selection or one.type in selection["types"])
            and one.seq > selection.get("after", 0)
            and one.ts >= selection.get("since", "")
            and one.ts < selection.get("until", "9")
        )

    @staticmethod
    def _stored_seq(wanted, type_):
        return wanted[type_].seq if type_ in wanted else 0
