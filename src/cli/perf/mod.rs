//! `harrier perf`: a load generator for any AMQP 0-9-1 broker.
//!
//! It has to cost so little that it isn't what is measured. So: two threads,
//! one for all the producers' sockets and one for all the consumers', none of
//! the sockets blocking; publishes are encoded once and only the sixteen octets
//! of [`stamp`] in each change; deliveries are picked out of the read buffer in
//! place; acks of one read leave in one write.
//!
//! ```text
//!   producer thread                                   consumer thread
//!   Schedule, ConfirmWindow -> how many may go        DeliveryScan <- frames in the read buffer
//!   PublishRing: stamp, write                         Verifier: lost, duplicated, reordered
//!          \                                               /
//!           `--------------- Progress ------------------'
//!                                |
//!                  Conductor: warm up, measure, finish; reads /proc before and after
//! ```

pub mod clock;
pub mod confirm;
pub mod consumer;
pub mod delivery;
pub mod error;
pub mod latency;
pub mod link;
pub mod options;
pub mod os;
pub mod pace;
pub mod producer;
pub mod progress;
pub mod report;
pub mod run;
pub mod sequence;
pub mod session;
pub mod stamp;
pub mod template;
pub mod topology;
pub mod uri;
pub mod verify;

pub use error::PerfError;
pub use options::PerfCommand;

use super::Failure;

impl PerfCommand {
    /// Runs the load and prints what it found.
    ///
    /// # Errors
    /// [`Failure`] when the options contradict each other, when the run could
    /// not be carried out, and when its check failed.
    pub fn run(self) -> Result<(), Failure> {
        let plan = self.settled()?;
        let outcome = run::run(&plan)?;
        println!("{}", outcome.render(&plan));
        if outcome.is_verified() || plan.no_verify {
            return Ok(());
        }
        Err(Failure::Failed(outcome.verdict(&plan)))
    }
}

impl From<PerfError> for Failure {
    fn from(error: PerfError) -> Self {
        match error {
            PerfError::Usage(text) => Self::Usage(text),
            other => Self::Failed(other.to_string()),
        }
    }
}
