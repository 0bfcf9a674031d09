"""What runs beside the simulator in its JVM: classes of ours over those of ScienceWorld 1.2.3.

- `World.java`: one running task, which takes turns with the others of its JVM.
- `QuickParser.java`: reads actions as the simulator's own parser does, in a tenth of its time.
- `TaskMaker.java`: makes the task that is asked for without making all others.
- `Chance.java`: the random generator and the counter of objects that all worlds share.

They are compiled by ``python -m metaplan.environments.scienceworld.jvm.build``. The jar lies here,
so that whoever installs Metaplan needs no compiler.
"""

from pathlib import Path

__all__ = ["JAR", "SOURCES"]

JAR = Path(__file__).with_name("metaplan-scienceworld.jar")
"""The compiled classes."""

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.java")))
"""What they are compiled from."""
