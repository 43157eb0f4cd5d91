//! Just enough of Rust's grammar: comments and literals put aside, paths and
//! functions found. Not a parser; it need only be right about code that compiles.

/// A token with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as it is written, or as a `use` tree spells it out: `["std", "fs"]`.
/// The name of a macro keeps its `!`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl NamedPath {
    /// Whether the path starts with `prefix`, given as `a::b`.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        let mut segments = self.segments.iter();
        prefix
            .split("::")
            .all(|name| segments.next() == Some(&name.to_owned()))
    }

    /// Whether the path ends with `suffix`, given as `a::b`.
    pub(crate) fn ends_with(&self, suffix: &str) -> bool {
        let mut segments = self.segments.iter().rev();
        suffix
            .rsplit("::")
            .all(|name| segments.next() == Some(&name.to_owned()))
    }
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub(crate) lines: usize,
}

/// The tokens of `text`: identifiers, numbers and `::` whole, everything else a
/// character at a time; comments, literals and lifetimes left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
        tokens: Vec::new(),
    };
    while scanner.step() {}
    scanner.tokens
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment_len(self.rest));
        } else if let Some(len) = string_len(self.rest) {
            self.skip(len);
        } else if first == '\'' {
            self.skip(quote_len(self.rest));
        } else if self.rest.starts_with("::") {
            self.take(2);
        } else if first.is_alphanumeric() || first == '_' {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            self.take(end.unwrap_or(self.rest.len()));
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.take(first.len_utf8());
        }
        true
    }

    fn take(&mut self, len: usize) {
        self.tokens.push(Token {
            text: self.rest[..len].to_owned(),
            line: self.line,
        });
        self.rest = &self.rest[len..];
    }

    fn skip(&mut self, len: usize) {
        self.line += self.rest[..len].matches('\n').count();
        self.rest = &self.rest[len..];
    }
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string literal at the front of `text`, if there is one.
fn string_len(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let after = text.strip_prefix(*prefix);
        after.is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = text[prefix.len()..]
        .bytes()
        .take_while(|b| *b == b'#')
        .count();
    let open = prefix.len() + hashes + 1;
    if prefix.contains('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let len = text[open..].find(&close)? + close.len();
        return Some(open + len);
    }
    if hashes > 0 {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text[open..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(open + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of the character literal or lifetime at the front of `text`.
fn quote_len(text: &str) -> usize {
    let inner = &text[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map_or(text.len(), |at| at + 4);
    }
    let first = inner.chars().next().map_or(0, char::len_utf8);
    if inner[first..].starts_with('\'') {
        return first + 2;
    }
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_');
    1 + end.unwrap_or(inner.len())
}

/// Every path of `tokens`, with the trees of `use` spelled out.
pub(crate) fn paths(tokens: &[Token]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = if is_name(&tokens[at].text) {
            path(tokens, at, &[], &mut found)
        } else {
            at + 1
        };
    }
    found
}

/// Reads the path or `use` tree at `at`; returns where it ends.
fn path(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    loop {
        if text(at) == "{" {
            return tree(tokens, at + 1, &segments, found);
        }
        segments.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" || !(is_name(text(at + 1)) || matches!(text(at + 1), "{" | "*")) {
            break;
        }
        at += 1;
    }
    if text(at) == "!"
        && text(at + 1) != "="
        && let Some(last) = segments.last_mut()
    {
        last.push('!');
    }
    found.push(NamedPath { segments, line });
    at
}

/// Reads the branches of a `use` tree up to its closing brace.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
    while at < tokens.len() && tokens[at].text != "}" {
        at = match tokens[at].text.as_str() {
            "," => at + 1,
            // `a::b as c`: the new name is nobody's path.
            "as" => at + 2,
            _ => path(tokens, at, prefix, found),
        };
    }
    at + 1
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every function of `tokens` that has a body.
pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let named = tokens.get(at + 1).filter(|next| is_name(&next.text));
        if let (true, Some(name)) = (token.text == "fn", named)
            && let Some(end) = body_end(&tokens[at..])
        {
            found.push(Function {
                name: name.text.clone(),
                line: token.line,
                lines: end - token.line + 1,
            });
        }
    }
    found
}

/// The line of the brace that closes the body of the function at the front.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for token in tokens {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            ";" if braces == 0 && brackets == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

mod tests {
    use super::{functions, paths, tokens};

    fn path_texts(code: &str) -> Vec<String> {
        let found = paths(&tokens(code));
        found.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_put_aside() {
        let code = r##"a /* b /* c */ d */ 'e' '\'' 'static "f // \" g" r#"h " i"# b"j" // k
            l"##;
        let found: Vec<_> = tokens(code).into_iter().map(|t| (t.text, t.line)).collect();
        assert_eq!(found, [("a".to_owned(), 1), ("l".to_owned(), 2)]);
    }

    #[test]
    fn use_trees_are_spelled_out() {
        assert_eq!(
            path_texts("use std::{fs, io::{self, Read as _}, sync::*};"),
            [
                "use",
                "std::fs",
                "std::io::self",
                "std::io::Read",
                "std::sync::*"
            ]
        );
    }

    #[test]
    fn macros_keep_their_mark() {
        assert_eq!(path_texts("println!(a != b)"), ["println!", "a", "b"]);
    }

    #[test]
    fn functions_are_measured() {
        let code = "trait T { fn none(a: [u8; 2]); }\nfn one() {}\nfn two(\n) { if a {\n} }";
        let found: Vec<_> = functions(&tokens(code))
            .into_iter()
            .map(|f| (f.name, f.line, f.lines))
            .collect();
        assert_eq!(found, [("one".to_owned(), 2, 1), ("two".to_owned(), 3, 3)]);
    }
}
