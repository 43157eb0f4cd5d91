//! `harrier completion`: what the shell needs to complete the command line.

use std::io::{self, Write};

use clap::Args;
use clap_complete::{Shell, generate};

use super::Failure;

/// Print a script that has the shell complete commands and flags.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier completion bash > harrier.bash\n  \
    harrier completion zsh > _harrier\n  \
    harrier completion fish > harrier.fish\n\n\
    bash: into /usr/share/bash-completion/completions/harrier, or source it;\n\
    zsh: as _harrier into a directory of $fpath;\n\
    fish: into ~/.config/fish/completions/harrier.fish.")]
pub struct CompletionCommand {
    /// The shell
    shell: Shell,
}

impl CompletionCommand {
    /// Prints the script.
    ///
    /// # Errors
    /// Stdout fails.
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut super::command(), "harrier", &mut script);
        match io::stdout().write_all(&script) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Failure::Failed(format!("cannot print: {error}"))),
        }
    }
}
