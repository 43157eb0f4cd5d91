//! The file format of `rabbitmq.conf`: a key, `=`, a value, a line each.

/// A line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file's name, if there are several.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The key, with its dots.
    pub key: String,
    /// The value, without quotes.
    pub value: String,
}

/// Why a file can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// `advanced.config`, or `rabbitmq.config` of before 3.7.
    #[error(
        "{file} is Erlang terms (advanced.config, or rabbitmq.config of before 3.7), which isn't \
         read here; give it in the format of rabbitmq.conf, one `key = value` a line"
    )]
    ErlangTerms {
        /// The file.
        file: String,
    },
    /// A line that sets nothing and is no comment.
    #[error("{file}, line {line}: expected `key = value`, found `{found}`")]
    NoSetting {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// RabbitMQ would read another file here.
    #[error(
        "{file}, line {line}: includes {included}; give that file on the command line, too, in \
         the order in which RabbitMQ reads them"
    )]
    Include {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What it names.
        included: String,
    },
}

/// What `text`, read from `file`, sets, in its order.
///
/// # Errors
/// The first line that RabbitMQ couldn't read either, or a file of another format.
pub fn parse(file: &str, text: &str) -> Result<Vec<Entry>, Unreadable> {
    let file = file.to_owned();
    let first = text.trim_start();
    if first.starts_with('[') || first.starts_with("%%") {
        return Err(Unreadable::ErlangTerms { file });
    }
    let mut entries = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line_number = at + 1;
        let set = line.trim();
        if set.is_empty() || set.starts_with('#') {
            continue;
        }
        if let Some(included) = set.strip_prefix("include ") {
            return Err(Unreadable::Include {
                file,
                line: line_number,
                included: included.trim().to_owned(),
            });
        }
        let Some((key, value)) = set.split_once('=').filter(|(key, _)| is_key(key.trim())) else {
            return Err(Unreadable::NoSetting {
                file,
                line: line_number,
                found: set.to_owned(),
            });
        };
        entries.push(Entry {
            file: file.clone(),
            line: line_number,
            key: key.trim().to_owned(),
            value: unquoted(value.trim()),
        });
    }
    Ok(entries)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// The value without what follows it: in single quotes anything goes, without
/// them `#` begins a comment.
fn unquoted(value: &str) -> String {
    if let Some(rest) = value.strip_prefix('\'')
        && let Some((inside, _)) = rest.split_once('\'')
    {
        return inside.to_owned();
    }
    let value = value.split('#').next().unwrap_or_default();
    value.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let entries = parse("rabbitmq.conf", text).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect()
    }

    #[test]
    fn comments_space_and_quotes_are_taken_off() {
        let text =
            "## first\n\n heartbeat=60 \ndefault_pass = 'a # b' # really\nlog.dir = /a b # c\r\n";
        let expected = [
            ("heartbeat", "60"),
            ("default_pass", "a # b"),
            ("log.dir", "/a b"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn a_value_may_have_an_equals_sign_or_be_empty() {
        assert_eq!(
            pairs("a = b=c\nd ="),
            [("a".into(), "b=c".into()), ("d".into(), String::new())]
        );
    }

    #[test]
    fn other_formats_and_broken_lines_are_told() {
        for text in ["[{rabbit, []}].", "  [\n].", "%% -*- erlang -*-\n[]."] {
            let told = parse("rabbitmq.config", text);
            assert!(
                matches!(told, Err(Unreadable::ErlangTerms { .. })),
                "{text}"
            );
        }
        let told = parse("f", "a = 1\n\nwhat is this\n")
            .unwrap_err()
            .to_string();
        assert_eq!(
            told,
            "f, line 3: expected `key = value`, found `what is this`"
        );
        let told = parse("f", "include conf.d/*.conf").unwrap_err().to_string();
        assert!(
            told.contains("line 1") && told.contains("conf.d/*.conf"),
            "{told}"
        );
    }
}
