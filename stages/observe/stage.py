"""observe: the files of a unit in, the `observations` rows of the episodes in them out, and their media."""

from __future__ import annotations

from schemas.ids import camera_id
from schemas.observations import OBSERVATIONS, ObservationRow
from stages import storage
from stages.observe import ObserveWork
from stages.observe.config import ObserveConfig
from stages.observe.file import observe_file
from stages.work import Outcome, Unit, Workspace, as_quarantined


def observe(unit: Unit[ObserveWork], work: Workspace, config: ObserveConfig) -> Outcome:
    """A file is decoded once, however many episodes lie in it; one that cannot be read costs only its episodes."""
    outcome = Outcome()
    rows: dict[str, ObservationRow] = {}
    for file in unit.payload.files:
        assert file.camera.file is not None  # a camera without one has no item
        uri = file.camera.file.uri
        items = {span.episode_id: camera_id(span.episode_id, span.camera) for span in file.spans}
        try:
            with storage.local_copy(uri) as local:
                pictures = file.dataset.pictures(file.camera, local)
                observed = observe_file(pictures, uri, file.spans, config, lambda path: work.write(f"media/{path}"))
        except storage.Unusable:
            raise
        except Exception as error:  # no frame of this file can be had; the unit's other files go on
            outcome.refused |= dict.fromkeys(items.values(), as_quarantined(error))
            continue
        rows |= {camera_id(row["episode_id"], row["camera"]): row for row in observed.rows}
        outcome.refused |= {items[episode]: error for episode, error in observed.refused.items()}
        first = next(iter(items.values()))  # a file's frames are counted with the first of its episodes
        outcome.count(first, source_frames=observed.source_frames, decoded_frames=observed.decoded_frames)

    def keep(item: str) -> None:
        """Names a clip's files and its row once they are in place."""
        if item in rows:
            row = rows[item]
            proxy, strip = work.written(f"media/{row['proxy']}"), work.written(f"media/{row['thumbnails']}")
            outcome.files |= {proxy.path: proxy, strip.path: strip}
            row["proxy_bytes"] = proxy.bytes
            outcome.add(OBSERVATIONS, [row])

    return outcome.each(unit.names, keep)
