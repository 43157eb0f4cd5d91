//! What a queue under test is declared with, and what is done to it.

use harrier::broker::attempts::{Attempts, ReturnCause};
use harrier::wire::{FieldTable, FieldValue};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Overflow {
    DropHead,
    Reject,
    RejectDeadLetter,
}

/// What the queue under test is declared with.
#[derive(Debug, Clone)]
pub struct Setting {
    pub quorum: bool,
    pub max_length: Option<u64>,
    pub max_bytes: Option<u64>,
    pub overflow: Overflow,
    pub ttl: Option<u64>,
    pub max_priority: Option<u8>,
    pub delivery_limit: Option<i64>,
    /// Type, min, max and multiplier.
    pub retry: Option<(&'static str, u64, u64, Option<u8>)>,
    pub dead_letters: bool,
    pub paging: bool,
}

impl Setting {
    pub fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::new();
        let kind = if self.quorum { "quorum" } else { "classic" };
        arguments.push("x-queue-type", FieldValue::str(kind));
        let numbers = [
            ("x-max-length", self.max_length),
            ("x-max-length-bytes", self.max_bytes),
            ("x-message-ttl", self.ttl),
            ("x-max-priority", self.max_priority.map(u64::from)),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                arguments.push(name, value as i64);
            }
        }
        let overflow = match self.overflow {
            Overflow::DropHead => "drop-head",
            Overflow::Reject => "reject-publish",
            Overflow::RejectDeadLetter => "reject-publish-dlx",
        };
        arguments.push("x-overflow", FieldValue::str(overflow));
        if let Some(limit) = self.delivery_limit {
            arguments.push("x-delivery-limit", limit);
        }
        if let Some((kind, min, max, multiplier)) = self.retry {
            arguments.push("x-delayed-retry-type", FieldValue::str(kind));
            arguments.push("x-delayed-retry-min", min as i64);
            arguments.push("x-delayed-retry-max", max as i64);
            if let Some(by) = multiplier {
                arguments.push("x-delayed-retry-multiplier", i64::from(by));
            }
        }
        if self.dead_letters {
            arguments.push("x-dead-letter-exchange", FieldValue::str("dead"));
        }
        arguments
    }

    pub fn is_limited(&self) -> bool {
        self.max_length.is_some() || self.max_bytes.is_some()
    }

    pub fn level(&self, priority: Option<u8>) -> u8 {
        if self.quorum {
            return priority.unwrap_or(4).min(31);
        }
        let highest = self.max_priority.unwrap_or(0);
        priority.unwrap_or(0).min(highest)
    }

    pub fn limit(&self) -> Option<u16> {
        match self.delivery_limit {
            None => self.quorum.then_some(20),
            Some(..0) => None,
            Some(limit) => Some(limit as u16),
        }
    }

    pub fn delay(&self, attempts: Attempts) -> u64 {
        let Some((kind, min, max, multiplier)) = self.retry else {
            return 0;
        };
        let failed = attempts.cause.is_some_and(|cause| cause.is_failure());
        if (kind == "failed" && !failed) || (kind == "returned" && failed) {
            return 0;
        }
        let failures = u32::from(attempts.failures).max(1);
        match multiplier {
            None => (min * u64::from(failures)).min(max),
            Some(by) => {
                let by = u64::from(by).saturating_pow(failures - 1);
                min.saturating_mul(by).min(max)
            }
        }
    }
}

#[derive(Debug, Clone)]
pub enum Operation {
    Push {
        persistent: bool,
        priority: Option<u8>,
        expiration: Option<u64>,
        size: u8,
    },
    Get,
    /// One of what is held, by a number taken modulo how many.
    Settle(usize, How),
    Attach(u16),
    Detach,
    Wait(u64),
    Restart,
}

#[derive(Debug, Clone, Copy)]
pub enum How {
    Acknowledge,
    Requeue(ReturnCause),
    Discard,
}

pub fn some<T: std::fmt::Debug + Clone>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(of)
}

pub fn settings() -> impl Strategy<Value = Setting> {
    let overflow = prop::sample::select(vec![
        Overflow::DropHead,
        Overflow::DropHead,
        Overflow::Reject,
        Overflow::RejectDeadLetter,
    ]);
    let kinds = prop::sample::select(vec!["all", "failed", "returned"]);
    let retry = some((kinds, 1..50_u64, 1..200_u64, some(1..4_u8)));
    // Tight ones, and such that have to be paged.
    let max_length = some(prop_oneof![0..12_u64, 0..40_u64]);
    let max_bytes = some(prop_oneof![0..60_u64, 0..400_u64]);
    let limits = (max_length, max_bytes, overflow, some(0..100_u64));
    let others = (some(0..6_u8), some(-1..4_i64), retry);
    (any::<(bool, bool, bool)>(), limits, others).prop_map(|(flags, limits, others)| {
        let (quorum, dead_letters, paging) = flags;
        let (max_length, max_bytes, overflow, ttl) = limits;
        let (max_priority, delivery_limit, retry) = others;
        Setting {
            quorum,
            max_length,
            max_bytes,
            overflow,
            ttl,
            max_priority: max_priority.filter(|_| !quorum),
            delivery_limit,
            retry,
            dead_letters,
            paging,
        }
    })
}

pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let push = (any::<bool>(), some(0..8_u8), some(0..120_u64), 4..20_u8).prop_map(
        |(persistent, priority, expiration, size)| Operation::Push {
            persistent,
            priority,
            // Most have none.
            expiration: expiration.filter(|ms| ms % 3 == 0),
            size,
        },
    );
    let how = prop_oneof![
        3 => Just(How::Acknowledge),
        6 => prop::sample::select(ReturnCause::ALL.to_vec()).prop_map(How::Requeue),
        1 => Just(How::Discard),
    ];
    let operation = prop_oneof![
        10 => push,
        5 => Just(Operation::Get),
        8 => (any::<usize>(), how).prop_map(|(at, how)| Operation::Settle(at, how)),
        1 => (1..6_u16).prop_map(Operation::Attach),
        1 => Just(Operation::Detach),
        4 => (0..60_u64).prop_map(Operation::Wait),
        1 => Just(Operation::Restart),
    ];
    prop::collection::vec(operation, 1..250)
}
