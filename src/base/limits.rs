//! Every bound of the broker, by name. Over a bound is an error, never growth.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The smallest frame_max a peer may ask for (AMQP 0-9-1, 4.2.3).
pub const FRAME_MAX_MIN: u32 = 4096;
/// The frame limit before tuning is done; RabbitMQ's lower bound for frame_max.
pub const FRAME_MAX_BEFORE_TUNE: u32 = 8192;
/// The frame_max the server proposes, bytes of a whole frame.
pub const FRAME_MAX: u32 = 131_072;
/// Bytes of a frame that aren't payload: a head of 7 and the end octet.
pub const FRAME_OVERHEAD: usize = 8;
/// The channel_max the server proposes.
pub const CHANNEL_MAX: u16 = 2047;
/// The heartbeat interval the server proposes, seconds.
pub const HEARTBEAT_SECS: u16 = 60;
/// A content header that announces more is refused before a byte is kept.
pub const CONTENT_SIZE_MAX: u64 = 536_870_912;
/// The default for `max_message_size`, bytes of body.
pub const MESSAGE_SIZE_MAX: u64 = 16_777_216;
/// How deep tables and arrays may nest in each other: bounds the stack.
pub const TABLE_DEPTH_MAX: usize = 64;
/// The time from accept to `connection.open`.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refused login waits before it hears so: slows guessing down.
pub const AUTH_FAILURE_DELAY: Duration = Duration::from_secs(3);
/// Failed logins that are remembered, to slow down those who try more.
pub const LOGIN_FAILURES_REMEMBERED_MAX: usize = 65_536;
/// Logins that are remembered, so that who logged in isn't refused for others.
pub const LOGINS_REMEMBERED_MAX: usize = 16_384;
/// Users and addresses whose logins are counted each by themselves.
pub const LOGIN_SOURCES_MAX: usize = 4096;
/// Scopes that a token may have, as RabbitMQ bounds them.
pub const TOKEN_SCOPES_MAX: usize = 2048;
/// Octets that the issuer of tokens may answer with when asked for its keys.
pub const JWKS_MAX: u64 = 1024 * 1024;
/// The longest a closing connection is kept for its close-ok.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest short string, bytes.
pub const SHORT_STR_MAX: usize = 255;
/// Bytes read from one socket before its task yields to the others.
pub const READ_BUDGET: usize = 128 * 1024;
/// Bytes written to one socket before its task yields to the others.
pub const WRITE_BUDGET: usize = 1024 * 1024;
/// The size of a connection's read buffer, bytes.
pub const READ_BUFFER: usize = 64 * 1024;
/// Bytes waiting in an outbox at which its consumers stop being served.
pub const OUTBOX_HIGH: usize = 1024 * 1024;
/// Bytes waiting in an outbox at which direct replies are dropped: no queue
/// keeps them until there is room again.
pub const OUTBOX_REPLIES_HIGH: usize = 16 * OUTBOX_HIGH;
/// Bytes that wait for the disk at which those who append wait, too.
pub const STORE_PENDING_HIGH: usize = 32 * 1024 * 1024;
/// Bodies up to this are copied into an outbox, larger ones chained.
pub const OUTBOX_COPY_MAX: usize = 4096;
/// Bodies up to this are stored within their message's record.
pub const MESSAGE_INLINE_MAX: usize = 8192;
/// Messages of busy groups that a queue looks past to find others.
pub const PARKED_MESSAGES_MAX: usize = 65_536;
/// Octets of messages that it looks past.
pub const PARKED_OCTETS_MAX: u64 = 16 * 1024 * 1024;
/// Milliseconds until a dead letter that nothing took is tried again, where none
/// may be lost. RabbitMQ has three minutes.
pub const DEAD_LETTER_RETRY_MS: u64 = 30_000;
/// How many messages are remembered where duplicates are dropped, unless said.
pub const DEDUPLICATION_DEFAULT: u64 = 1024;
/// The most that may be asked for.
pub const DEDUPLICATION_MAX: u64 = 10_000_000;
/// Octets of stored messages that a queue keeps in memory, while there is room.
pub const QUEUE_RESIDENT_HIGH: u64 = 16 * 1024 * 1024;
/// Octets of messages that such a queue reads back from the store at a time.
pub const QUEUE_PAGE: u64 = 1024 * 1024;
/// Octets of stored messages that all queues keep in memory before room is scarce.
pub const RESIDENT_BUDGET: u64 = 64 * 1024 * 1024;
/// Octets of stored messages that a queue keeps in memory when room is scarce.
pub const QUEUE_RESIDENT_HIGH_SCARCE: u64 = 128 * 1024;
/// Octets of messages that such a queue reads back from the store at a time.
pub const QUEUE_PAGE_SCARCE: u64 = 64 * 1024;
/// Octets by which a queue's share of the budget changes before it says so.
pub const RESIDENT_STEP: u64 = 16 * 1024;
/// Routes a connection keeps at hand.
pub const ROUTE_CACHE_MAX: usize = 1024;
/// Connections the server accepts, unless configured otherwise.
pub const CONNECTIONS_MAX: usize = 65_536;
/// Connections beyond those that are still served as far as it takes to tell
/// their clients why they have to go.
pub const CONNECTIONS_TURNED_AWAY_MAX: usize = 64;
/// Milliseconds that a consumer may hold a message, where there is a limit.
pub const CONSUMER_TIMEOUT_MS: u64 = 1_800_000;
/// Consumers on one channel, unless configured otherwise.
pub const CONSUMERS_PER_CHANNEL_MAX: usize = 65_536;
/// Octets of a segment of the write-ahead log, unless configured otherwise.
pub const SEGMENT_SIZE: u64 = 32 * 1024 * 1024;
/// The smallest and the largest segment that may be configured, octets.
pub const SEGMENT_SIZES: RangeInclusive<u64> = 64 * 1024..=1024 * 1024 * 1024;
/// The default for `disk_free_limit`, octets: so that what consumers settle can
/// still be written, and the log goes on until they have made room.
pub const DISK_FREE_MIN: u64 = 4 * SEGMENT_SIZE;
/// Segments that the log may have beyond twice what is live in it.
pub const LOG_SPARE_SEGMENTS: u64 = 4;
/// Octets of the log's buffers kept for the next batch; what a burst took above is given back.
pub const STORE_BUFFER_KEPT: usize = 4 * 1024 * 1024;
/// `#` words in the pattern of a topic binding, as RabbitMQ bounds them.
pub const TOPIC_HASH_WORDS_MAX: usize = 2;
/// Octets of messages that a recent-history exchange keeps, whatever its length.
pub const HISTORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Octets of events and traces that may wait to be published.
pub const ANNOUNCEMENTS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The longest time to live of a message or a queue, milliseconds (ten years).
pub const EXPIRY_MS_MAX: i64 = 315_360_000_000;
/// The longest time an exchange holds a message back, milliseconds (49 days).
pub const DELAY_MS_MAX: u64 = u32::MAX as u64;
/// The highest priority in a quorum queue, and that of a message without one.
pub const QUORUM_PRIORITIES: (u8, u8) = (31, 4);
/// Failed attempts that a message in a quorum queue may have, unless told otherwise.
pub const QUORUM_DELIVERY_LIMIT: u16 = 20;
/// The highest priority a queue may be declared with.
pub const QUEUE_PRIORITY_MAX: i64 = 255;
/// Octets of the value of a runtime parameter, as the text of its JSON.
pub const PARAMETER_BYTES_MAX: usize = 1024 * 1024;
/// Steps back that matching one pattern of a permission or policy may take,
/// which only one with look-around or back-references takes at all.
pub const PATTERN_BACKTRACKS_MAX: usize = 100_000;
/// Octets that such a pattern may take compiled.
pub const PATTERN_MEMORY_MAX: usize = 1024 * 1024;
/// Connections to the management API at the same time.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// Octets of the body of a request to the management API, as RabbitMQ bounds them.
pub const HTTP_BODY_MAX: usize = 20_000_000;
/// Octets of the head of such a request.
pub const HTTP_HEAD_MAX: usize = 64 * 1024;
/// The time for the head of a request to come, and for a TLS handshake.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The time until a request is answered: a client that takes longer to send it
/// has gone.
pub const HTTP_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Rows of a page, unless said, and at most.
pub const PAGE_SIZES: (usize, usize) = (100, 500);
/// The time between two looks at all counters.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Octets of the history of counters before less far back is kept.
pub const RATES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Octets of the file in which administrators' acts are kept, before another one
/// is begun.
pub const AUDIT_FILE_MAX: u64 = 16 * 1024 * 1024;
/// Octets of what is kept of one act.
pub const AUDIT_LINE_MAX: usize = 16 * 1024;
/// Jobs on queues that run at the same time.
pub const JOBS_RUNNING_MAX: usize = 16;
/// Jobs that are remembered.
pub const JOBS_KEPT_MAX: usize = 200;
/// Octets of bodies that one request takes out of a queue over HTTP.
pub const HTTP_GET_MAX: usize = 64 * 1024 * 1024;
/// Messages that it takes.
pub const HTTP_GET_MESSAGES_MAX: i64 = 10_000;
/// Events of traced messages that are kept.
pub const TRACE_EVENTS_MAX: usize = 100_000;
/// Octets that events of traced messages take, about.
pub const TRACE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rules for tracing, in all virtual hosts together.
pub const TRACE_RULES_MAX: usize = 256;
/// Bindings noted with a traced message, and those of one queue or exchange that
/// are looked at to find them.
pub const TRACE_WAYS: (usize, usize) = (32, 1024);
/// Stories or events that are answered with, unless said, and at most.
pub const TRACE_STORIES: (usize, usize) = (100, 1000);
