//! Layer 1: bytes, frames and values of AMQP 0-9-1.
//!
//! ```text
//!   0      1         3             7                  size+7   size+8
//!   +------+---------+-------------+------------------+--------+
//!   | type | channel |    size     |     payload      |  0xCE  |
//!   +------+---------+-------------+------------------+--------+
//!     u8      u16         u32         `size` octets      u8
//! ```
//!
//! [`frame`] finds where a whole frame ends by peeking at its first seven
//! octets; only then do the nom parsers of the other modules run, once, over
//! exactly that frame. What they return borrows from the read buffer.

// What a peer sends gets this far: no index without a check.
#![warn(clippy::indexing_slicing)]

mod check;
pub mod content;
pub mod encode;
pub mod error;
pub mod field;
pub mod frame;
pub mod method;
pub mod parse;
pub mod properties;
pub mod reply;
pub mod short_str;

pub use content::Body;
pub use error::DecodeError;
pub use field::{FieldTable, FieldValue};
pub use frame::{Frame, FrameError, FrameHead, FrameKind};
pub use method::Method;
pub use properties::Properties;
pub use reply::{Refusal, ReplyCode};
pub use short_str::ShortStr;
