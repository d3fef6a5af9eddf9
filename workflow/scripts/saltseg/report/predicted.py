"""The headline of the page of a volume that finished members predicted."""

from pathlib import Path

from saltseg.report.page import OUTPUTS, name_members
from saltseg.survey.character import compare_with_nearest
from saltseg.survey.geometry import Geometry
from saltseg.survey.volume import Volume


def describe_volume(
    geometry: Geometry, found: dict, members: dict[str, dict], volume: Volume
) -> dict:
    """Return the headline of a volume that finished members predicted.

    Args:
        found: volume.json.
        members: what the checkpoints' headers say, by the members' names.
    """
    picked = found["picked_share"]
    trained_on = next(iter(members.values())).get("survey") or {}
    return {
        "title": f"Salt in {Path(geometry.path).name}",
        "notices": compare_with_nearest(volume.character, trained_on, volume.polarity),
        "facts": {
            "Members": name_members(dict.fromkeys(members, 1)),
            "Threshold": f"{found['threshold']:.4f}",
            "Bodies of salt": f"{found['bodies']}",
            **(
                {"Labelled": f"{picked:.0%} of the traces, which are as labelled"} if picked else {}
            ),
        },
        "files": [*OUTPUTS, "volume.json"],
    }
