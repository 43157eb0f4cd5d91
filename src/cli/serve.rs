//! `harrier serve`: the broker's command line.

use std::path::PathBuf;

use clap::Args;

use super::config_file::Keys;
use super::{Failure, Serve, logging, tls_keys};

/// Runs the broker until SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier serve\n  \
    harrier serve --data-dir /var/lib/harrier --amqp 0.0.0.0:5672\n  \
    harrier serve --config harrier.toml --log-format json\n\n\
    Every key of config/harrier.toml is a flag and a HARRIER_* variable, too;\n\
    a flag comes before a variable, a variable before the file.")]
pub struct ServeCommand {
    /// Configuration file (TOML)
    #[arg(long, env = "HARRIER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
}

impl ServeCommand {
    /// Has `serve` run the broker that this command line describes.
    ///
    /// # Errors
    /// A configuration that makes no sense, and what `serve` fails with.
    pub fn run(self, serve: Serve) -> Result<(), Failure> {
        let keys = match &self.config {
            Some(path) => self.keys.or(Keys::from_file(path)?),
            None => self.keys,
        };
        let (config, log) = keys.resolve()?;
        tls_keys::check(&config)?;
        logging::start(log.level, log.format);
        serve(config)
    }
}
