//! The members of the outermost object of a message, found without parsing it: it may not be JSON, or may be too long.

use rmcp::model::RequestId;

use super::InvalidAnswer;

/// The members of a message.
pub(super) const MEMBERS: [&str; 5] = ["jsonrpc", "id", "method", "result", "error"];
/// The maximum number of members of a message that are checked. Some may be there twice.
const MAX_MEMBERS: usize = 16;
/// How much is kept of a member of a message that is too long, in bytes. An ID is shorter.
const MAX_MEMBER_BYTES: usize = 300;

/// The names and the values of the members of a message, as far as the text can be read.
pub(super) fn members(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    let text = text.trim_ascii_start();
    if !text.starts_with(b"{") {
        return found;
    }
    let (mut place, mut start) = (Place::default(), 1);
    for (at, byte) in text.iter().enumerate() {
        if place.ends_member(*byte) && (found.len() < MAX_MEMBERS || place.depth == 0) {
            found.extend(member(&text[start..at]));
            start = at + 1;
        }
        if place.depth == 0 {
            return found;
        }
    }
    found.extend(member(&text[start..]));
    found
}

/// The place in a JSON text that is read byte by byte.
#[derive(Debug, Default)]
struct Place {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
}

impl Place {
    /// Reads a byte. Returns whether a member of the outermost object ends before it.
    fn ends_member(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match byte {
            b'\\' if self.is_string => self.is_escaped = true,
            b'"' => self.is_string = !self.is_string,
            _ if self.is_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            b',' => return self.depth == 1,
            _ => {}
        }
        false
    }
}

/// The ID of an answer that is too long to be read. It can be at the end of the answer.
#[derive(Debug, Default)]
pub(crate) struct AnswerId {
    place: Place,
    /// The beginning of the member that is being read.
    member: Vec<u8>,
    id: Option<RequestId>,
    has_result: bool,
    has_method: bool,
    has_ended: bool,
}

impl AnswerId {
    /// Reads the next part of the text.
    pub fn read(&mut self, text: &[u8]) {
        for byte in text {
            let is_outside = self.place.depth == 0;
            match byte {
                _ if self.has_ended => return,
                _ if is_outside && byte.is_ascii_whitespace() => continue,
                b'{' if is_outside => {
                    self.place.ends_member(*byte);
                    continue;
                }
                _ => self.has_ended = is_outside,
            }
            if self.place.ends_member(*byte) {
                self.end_member();
                self.has_ended = self.place.depth == 0;
            } else if self.member.len() < MAX_MEMBER_BYTES {
                self.member.push(*byte);
            }
        }
    }

    fn end_member(&mut self) {
        let text = std::mem::take(&mut self.member);
        match member(&text) {
            Some((b"id", id)) => self.id = serde_json::from_slice(id).ok(),
            Some((b"method", _)) => self.has_method = true,
            Some((b"result" | b"error", _)) => self.has_result = true,
            _ => {}
        }
    }

    /// Whether the text is a request or a notification of the server.
    pub fn is_of_server(&self) -> bool {
        self.has_method
    }

    /// The answer, which is invalid because it is longer than `limit`. `None` if the text is not meant as an answer.
    pub fn too_long(self, limit: usize) -> Option<InvalidAnswer> {
        (self.has_result && !self.has_method).then_some(InvalidAnswer {
            id: Some(self.id?),
            problem: format!("message: must have at most {limit} bytes"),
        })
    }
}

/// The name and the value of a member, if it is one of a message.
fn member(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let named = text.trim_ascii().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', named)?;
    let (name, rest) = (&named[..end], named[end + 1..].trim_ascii());
    let value = rest.strip_prefix(b":")?.trim_ascii();
    let is_known = MEMBERS.iter().any(|known| known.as_bytes() == name);
    is_known.then_some((name, value))
}

pub(super) fn id_of(members: &[(&[u8], &[u8])]) -> Option<RequestId> {
    let (_, id) = members.iter().find(|(name, _)| *name == b"id")?;
    serde_json::from_slice(id).ok()
}
