//! What the scopes of an OAuth 2 token permit, as RabbitMQ reads them.
//!
//! ```text
//!   read:<vhost>/<name>[/<routing key>]      and write:, configure:
//!   tag:<tag>
//! ```
//!
//! `*` stands for any text, `%2F` for what can't be written as it is, `{vhost}`
//! for the virtual host asked for. A topic exchange takes a scope with a routing
//! key, `*` if need be. A scope that is none of these permits nothing.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::permission::Permission;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Any,
    Vhost,
}

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wildcard(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    permission: Permission,
    vhost: Wildcard,
    name: Wildcard,
    key: Option<Wildcard>,
}

/// What somebody may do who has a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes {
    scopes: Vec<Scope>,
    tags: Vec<Arc<str>>,
}

impl Scopes {
    /// Those of a token, without the prefix that tells a broker's from others.
    /// `claim` has the values that stand in the place of names in braces, where a
    /// wildcard is a letter like any other.
    pub fn new<'a>(
        scopes: impl IntoIterator<Item = &'a str>,
        claim: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut all = Self::default();
        for scope in scopes {
            let Some((kind, rest)) = scope.split_once(':') else {
                continue;
            };
            if kind == "tag" {
                all.tags.push(rest.into());
                continue;
            }
            let of = |permission: &&Permission| permission.name() == kind;
            let Some(permission) = Permission::ALL.iter().find(of) else {
                continue;
            };
            let mut parts = rest.split('/').map(|part| Wildcard::new(part, &claim));
            if let (Some(vhost), Some(name), key, None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            {
                all.scopes.push(Scope {
                    permission: *permission,
                    vhost,
                    name,
                    key,
                });
            }
        }
        all.tags.sort_unstable();
        all.tags.dedup();
        all
    }

    /// The tags of the user.
    pub fn tags(&self) -> &[Arc<str>] {
        &self.tags
    }

    /// Whether the virtual host may be entered: any permission there will do.
    pub fn may_enter(&self, vhost: &str) -> bool {
        self.scopes.iter().any(|scope| scope.is_in(vhost))
    }

    /// Whether `permission` is given for a queue or an exchange.
    pub fn allow(&self, permission: Permission, vhost: &str, name: &str) -> bool {
        let mut scopes = self.given(permission, vhost);
        scopes.any(|scope| scope.name.matches(name, vhost))
    }

    /// Whether `permission` is given for a routing key of a topic exchange.
    pub fn allow_topic(
        &self,
        permission: Permission,
        vhost: &str,
        exchange: &str,
        key: &str,
    ) -> bool {
        let mut scopes = self.given(permission, vhost);
        scopes.any(|scope| {
            let keys = scope.key.as_ref();
            scope.name.matches(exchange, vhost) && keys.is_some_and(|keys| keys.matches(key, vhost))
        })
    }

    fn given(&self, permission: Permission, vhost: &str) -> impl Iterator<Item = &Scope> {
        let of = move |scope: &&Scope| scope.permission == permission && scope.is_in(vhost);
        self.scopes.iter().filter(of)
    }
}

impl Scope {
    fn is_in(&self, vhost: &str) -> bool {
        self.vhost.matches(vhost, vhost)
    }
}

impl Wildcard {
    fn new(pattern: &str, claim: &impl Fn(&str) -> Option<String>) -> Self {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some(at) = rest.find(['*', '{']) {
            let (text, special) = rest.split_at(at);
            push_text(&mut pieces, text);
            if let Some(after) = special.strip_prefix('*') {
                pieces.push(Piece::Any);
                rest = after;
                continue;
            }
            let Some((name, after)) = special.get(1..).and_then(|name| name.split_once('}')) else {
                // A brace that nothing closes.
                rest = special;
                break;
            };
            pieces.push(match name {
                "vhost" => Piece::Vhost,
                name => Piece::Text(claim(name).unwrap_or_else(|| name.to_owned())),
            });
            rest = after;
        }
        push_text(&mut pieces, rest);
        pieces.dedup_by(|next, last| *next == Piece::Any && *last == Piece::Any);
        Self(pieces)
    }

    /// Whether `text` is like this in `vhost`. Takes as many steps as both are
    /// long, multiplied: where a later piece doesn't fit only the last wildcard
    /// can be at fault.
    fn matches(&self, text: &str, vhost: &str) -> bool {
        let pieces = &self.0;
        let (mut at, mut rest) = (0, text);
        let mut wildcard: Option<(usize, &str)> = None;
        loop {
            let fits = match pieces.get(at) {
                None if rest.is_empty() => return true,
                None => None,
                Some(Piece::Any) => {
                    wildcard = Some((at + 1, rest));
                    Some(rest)
                }
                Some(Piece::Text(text)) => rest.strip_prefix(text.as_str()),
                Some(Piece::Vhost) => rest.strip_prefix(vhost),
            };
            if let Some(left) = fits {
                (at, rest) = (at + 1, left);
                continue;
            }
            // The last wildcard takes one letter more.
            let Some((after, from)) = wildcard else {
                return false;
            };
            let mut letters = from.chars();
            if letters.next().is_none() {
                return false;
            }
            (at, rest) = (after, letters.as_str());
            wildcard = Some((after, rest));
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        let text = percent_decode_str(text).decode_utf8_lossy().into_owned();
        pieces.push(Piece::Text(text));
    }
}
