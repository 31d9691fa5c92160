"""Plain-text tables for the terminal."""

from collections.abc import Sequence

from kofn.agents import AlternatingResult, Equilibrium, Evaluation, GainSplit, Proposal


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under a ruled header."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)).rstrip()
    return "\n".join([head, "  ".join("-" * width for width in widths), *lines])


def history_table(history: Sequence[Proposal]) -> str:
    """One line per proposal."""
    rows = [
        [
            str(proposal.step),
            proposal.player,
            f"{proposal.potential:.2f}",
            f"{proposal.proposed_potential:.2f}",
            f"{proposal.proposed_potential - proposal.potential:+.2f} ± {1.96 * proposal.standard_error:.2f}",
            proposal.verdict,
        ]
        for proposal in history
    ]
    return text_table(["proposal", "player", "potential", "proposed", "difference (95%)", "verdict"], rows)


def evaluation_row(name: str, evaluation: Evaluation) -> list[str]:
    """Cells of an evaluated pair: name, n, k, horizon, mean, standard error, 95% interval."""
    low, high = evaluation.confidence_interval()
    return [
        name,
        str(evaluation.n_agents),
        str(evaluation.k),
        str(evaluation.horizon),
        f"{evaluation.mean:.2f}",
        f"{evaluation.standard_error:.2f}",
        f"[{low:.2f}, {high:.2f}]",
    ]


EVALUATION_HEADER = ["policies", "n", "k", "horizon", "discounted return", "std. error", "95% interval"]


def outcome_lines(result: AlternatingResult) -> str:
    """How the alternation ended, in words."""
    bound = f"{result.n_iterations} proposals (theoretical bound {result.proposal_bound})"
    if not result.converged:
        return f"stopped at max_alternations after {bound}: not converged; raise --alternation.max-alternations"
    return (
        f"converged after {bound}: each player's last proposal gained less than eta = {result.eta:.3g} "
        f"(with the estimates' error: {result.certificate:.3g})"
    )


def equilibria_table(equilibria: Sequence[Equilibrium]) -> str:
    """Where every start ended."""
    rows = [
        [
            one.start,
            f"{one.potential:.2f} ± {1.96 * one.standard_error:.2f}",
            str(one.n_proposals),
            "yes" if one.converged else "no",
            one.same_as,
        ]
        for one in equilibria
    ]
    return text_table(["start", "potential (95%)", "proposals", "converged", "same pair as"], rows)


def gain_table(split: GainSplit) -> str:
    """Where the gain over the paper's method comes from."""
    names = {
        "paper": "the paper's method",
        "dispatcher": "gain from the dispatcher",
        "fleet": "gain from the fleet",
        "equilibrium": "gain from the choice of equilibrium",
        "total": "whole gain",
    }
    rows = [[names[name], f"{mean:.2f} ± {1.96 * error:.2f}"] for name, mean, error in split.rows()]
    return text_table(["what", "discounted return (95%)"], rows)
