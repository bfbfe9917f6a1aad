"""``naq completion``."""

from __future__ import annotations

from typing import Final, Literal

from naq.cli.common import say

#: What is put after a shell's own script: names that only the broker knows, by `naq.cli.complete`. It costs a start of
#: Python, so it is asked where a name may stand, and nowhere else.
_LIVE: Final = {
    "bash": """\
_naq_live() {
  _naq "$@"
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" least=3
  case "${COMP_WORDS[1]}" in
    enqueue|purge|job-control) least=2 ;;
    jobs|queues|workers|dead|schedules|tasks) ;;
    *) [[ "$previous" == --queue?(s) ]] || return ;;
  esac
  [[ "$COMP_CWORD" -ge $least && "$current" != -* ]] || return
  local -a found
  mapfile -t found < <("${COMP_WORDS[0]}" __complete "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
  COMPREPLY+=("${found[@]}")
}

shopt -q extglob || shopt -s extglob
complete -F _naq_live naq
""",
    "zsh": """\
_naq() {
  local -a typed=("${words[@]}") found
  local at=$((CURRENT - 1)) least=3
  _cyclopts_naq "$@"
  case "${typed[2]}" in
    enqueue|purge|job-control) least=2 ;;
    jobs|queues|workers|dead|schedules|tasks) ;;
    *) [[ "${typed[at]}" == --queue || "${typed[at]}" == --queues ]] || return ;;
  esac
  [[ $at -ge $least && "${typed[at + 1]}" != -* ]] || return
  found=("${(@f)$("${typed[1]}" __complete $at "${typed[@]}" 2>/dev/null)}")
  [[ -n "${found[1]}" ]] && compadd -- "${found[@]}"
}

if [[ "${funcstack[1]}" == _naq ]]; then
  _naq "$@"
else
  compdef _naq naq
fi
""",
    "fish": """\
function __fish_naq_live
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    string match -q -- '-*' "$current"; and return
    $typed[1] __complete (count $typed) $typed "$current" 2>/dev/null
end

function __fish_naq_asks
    set -l typed (commandline -opc)
    contains -- "$typed[2]" enqueue purge job-control; and return
    test (count $typed) -ge 3; and contains -- "$typed[2]" jobs queues workers dead schedules tasks; and return
    contains -- "$typed[-1]" --queue --queues
end

complete -c naq -n __fish_naq_asks -f -a '(__fish_naq_live)'
""",
}


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes naq's commands and options in a shell, and the names that the broker knows.

    Example: naq completion bash > ~/.local/share/bash-completion/completions/naq

    Args:
        shell: Which one.
    """
    from naq.cli.app import COMMANDS
    from naq.cli.parser import build

    print(f"{build(COMMANDS).generate_completion(prog_name='naq', shell=shell).rstrip()}\n\n{_LIVE[shell]}", end="")
    say(f"to use it, put this where {shell} looks for completions, then open a new shell")
