"""Families of networks by their names, and loading a model whichever family its weights file names.

To add one, write a `Family` in a file of its own and name it in `FAMILIES`; or in a package of your own, and name it as
an entry point of the group ``lmial.networks``. Its models are `ChangeModel`s.
"""

from __future__ import annotations

from pathlib import Path

from LMIALLib.errors import WrongUse
from LMIALLib.installed import Group
from LMIALLib.network.change_model import ChangeModel, Family
from LMIALLib.network.unet import UNET
from LMIALLib.network.weights import read_header

FAMILIES = {family.name: family for family in (UNET,)}
INSTALLED = Group("lmial.networks", "family of networks", Family)
"""What installed packages bring."""


def load_model(file: Path) -> ChangeModel:
    """The model in a weights file, in evaluation mode on the CPU.

    Raises BadInput when the file is missing, damaged or no weights file, or names a family that is not known here;
    WrongUse where an installed family cannot be used.
    """
    name = read_header(file).family
    installed = INSTALLED.by_name()
    if name in FAMILIES and name in installed:
        raise WrongUse(f"An installed package brings the family of networks {name!r}, which is LMIAL's own.")
    family = INSTALLED.load(installed[name], taken=FAMILIES) if name in installed else FAMILIES.get(name, UNET)
    return family.load(Path(file))  # ours says which families it knows
