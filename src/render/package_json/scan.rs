//! Where things are in the text of a JSON object, so that something can be put in without touching
//! the rest.

use std::ops::Range;

/// An object in a text that is known to be JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object<'a> {
    text: &'a str,
    /// From its `{` to behind its `}`.
    pub place: Range<usize>,
    /// Its members in their order.
    pub members: Vec<Member>,
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name.
    pub name: String,
    /// The name in the text, quotation marks included.
    pub key: Range<usize>,
    /// Its value in the text.
    pub value: Range<usize>,
}

impl<'a> Object<'a> {
    /// The object that begins at `start`, at its `{`; `None` when there is none.
    pub fn at(text: &'a str, start: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.get(start) != Some(&b'{') {
            return None;
        }
        let mut members = Vec::new();
        let mut at = blanks(bytes, start + 1);
        while bytes.get(at)? != &b'}' {
            let key = at..string(bytes, at)?;
            at = blanks(bytes, key.end);
            if bytes.get(at)? != &b':' {
                return None;
            }
            let begin = blanks(bytes, at + 1);
            let value = begin..value(bytes, begin)?;
            let name = serde_json::from_str(&text[key.clone()]).ok()?;
            at = blanks(bytes, value.end);
            members.push(Member { name, key, value });
            if bytes.get(at)? == &b',' {
                at = blanks(bytes, at + 1);
            }
        }
        Some(Self {
            text,
            place: start..at + 1,
            members,
        })
    }

    /// The member of this name; of two, the last, as all readers of JSON see it.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().rev().find(|it| it.name == name)
    }

    /// The object that a member holds, if it holds one.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::at(self.text, self.member(name)?.value.start)
    }

    /// The blanks before a member on its line, if its line begins with it.
    pub fn indent(&self, member: &Member) -> Option<&'a str> {
        let before = &self.text[..member.key.start];
        let line = &before[before.rfind('\n')? + 1..];
        line.bytes()
            .all(|b| b == b' ' || b == b'\t')
            .then_some(line)
    }
}

fn blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at`.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at)? != &b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that begins at `at`.
fn value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string(bytes, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut at = at;
            loop {
                match bytes.get(at)? {
                    b'"' => {
                        at = string(bytes, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let length = bytes[at..]
                .iter()
                .position(|b| b",}]".contains(b) || b.is_ascii_whitespace());
            length.map(|length| at + length)
        }
    }
}
