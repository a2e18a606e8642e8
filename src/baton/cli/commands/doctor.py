"""``baton doctor``: check everything that a run needs."""

from __future__ import annotations

import click

from baton.cli import output
from baton.cli.exit_codes import ExitCode
from baton.cli.options import ProjectCommand, json_option, place_options


@click.command(cls=ProjectCommand)
@json_option
@place_options
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Check everything that a run needs: imports, folders, store, MLflow and the pipeline's own checks."""
    from baton.maintenance.doctor import examine

    findings = examine(ctx.obj)
    if as_json:
        output.show_json(
            [{"check": f.check, "good": f.good, "found": f.found, "hint": f.hint} for f in findings]
        )
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding.good else click.style("FAIL", fg="red")
            output.show_data(f"{mark}  {finding.check:{width}}  {finding.found}")
            if finding.hint:
                output.show_data(f"      {'':{width}}  hint: {finding.hint}")
    return ExitCode.DONE if all(finding.good for finding in findings) else ExitCode.UNAVAILABLE
