//! The messages between this process, the launcher and the supervisors.
//!
//! The launcher is the process that creates supervisors. Its stdin is a Unix stream socket. For each program, it receives one byte and
//! the control socket of a new supervisor. The control socket then carries, to the supervisor, a [`Request`] and perhaps [`END`], and
//! back one [`Report`] before the start, one about it and one about the end of the program. The request never reaches the launcher, so it is in no
//! memory that other supervisors inherit.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The byte that requests a supervisor to end the program. If the control socket closes without it, this process was killed.
pub const END: u8 = b'E';

/// The program that a supervisor starts. It contains secrets, so it does not implement `Debug`.
pub struct Request {
    /// How long processes may take to exit after SIGTERM, in whole milliseconds.
    pub grace: Duration,
    /// The absolute path of the program.
    pub program: PathBuf,
    /// The arguments of the program.
    pub arguments: Vec<OsString>,
    /// All variables of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its folder. With `None`, the folder of the launcher.
    pub folder: Option<PathBuf>,
}

impl Request {
    /// The message on the control socket. `None` if a text contains a zero byte: such a program can't be started.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut texts = Vec::new();
        let mut push = |parts: &[&[u8]]| {
            for part in parts {
                texts.extend_from_slice(part);
                if part.contains(&0) {
                    return None;
                }
            }
            texts.push(0);
            Some(())
        };
        let folder = self.folder.as_deref().unwrap_or(Path::new(""));
        push(&[folder.as_os_str().as_bytes()])?;
        push(&[self.program.as_os_str().as_bytes()])?;
        for argument in &self.arguments {
            push(&[argument.as_bytes()])?;
        }
        // As in `Command`: the last value of a variable counts.
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        for (name, value) in environment.collect::<BTreeMap<_, _>>() {
            push(&[name.as_bytes(), b"=", value.as_bytes()])?;
        }
        let header = Header {
            grace_ms: u32::try_from(self.grace.as_millis()).ok()?,
            arguments: u32::try_from(1 + self.arguments.len()).ok()?,
            length: u32::try_from(texts.len()).ok()?,
        };
        let mut message = header.encode().to_vec();
        message.extend(texts);
        Some(message)
    }
}

/// The beginning of a request.
struct Header {
    grace_ms: u32,
    /// The number of arguments, with the program itself.
    arguments: u32,
    /// The length of the texts that follow. Each ends with a zero byte: the folder or nothing, the arguments, and the variables.
    length: u32,
}

/// More variables than most environments have.
const USUAL_VARIABLES: usize = 100;

impl Header {
    const LENGTH: usize = 12;

    fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let numbers = [self.grace_ms, self.arguments, self.length];
        for (bytes, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: [u8; Self::LENGTH]) -> Self {
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            grace_ms: number(0),
            arguments: number(4),
            length: number(8),
        }
    }
}

/// A request that a supervisor has received.
pub struct ReceivedRequest {
    header: Header,
    texts: Vec<u8>,
}

/// The parts of a request, as execve(2) takes them.
pub struct Execution<'a> {
    /// The folder, which may be empty.
    pub folder: &'a CStr,
    /// The path of the program, and its arguments.
    pub arguments: Vec<&'a CStr>,
    /// The variables, as `NAME=VALUE`.
    pub environment: Vec<&'a CStr>,
}

impl ReceivedRequest {
    /// Reads a request from the control socket.
    ///
    /// # Errors
    ///
    /// Returns an error if the socket closes before the end of the request.
    pub fn read(mut control: impl Read) -> io::Result<Self> {
        let mut header = [0; Header::LENGTH];
        control.read_exact(&mut header)?;
        let header = Header::decode(header);
        let mut texts = vec![0; usize::try_from(header.length).map_err(io::Error::other)?];
        control.read_exact(&mut texts)?;
        Ok(Self { header, texts })
    }

    /// How long processes may take to exit after SIGTERM.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.header.grace_ms.into())
    }

    /// The parts of the request. `None` if it is invalid.
    pub fn execution(&self) -> Option<Execution<'_>> {
        let mut rest = self.texts.as_slice();
        let mut next = || {
            let text = CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[text.count_bytes() + 1..];
            Some(text)
        };
        let folder = next()?;
        let arguments = (0..self.header.arguments).map(|_| next());
        let arguments = arguments.collect::<Option<Vec<_>>>()?;
        let mut environment = Vec::with_capacity(USUAL_VARIABLES);
        environment.extend(std::iter::from_fn(&mut next));
        let is_complete = rest.is_empty() && !arguments.is_empty();
        is_complete.then_some(Execution {
            folder,
            arguments,
            environment,
        })
    }
}

/// A report of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The supervisor is about to start the program: the process ID of the supervisor.
    Starting(i32),
    /// The program runs. The ends of its stdin, stdout and stderr come with this report.
    Started,
    /// The program can't be started: the number of the operating system's error.
    NotStarted(i32),
    /// The program and its descendants have ended: the wait status of the program (wait(2)).
    Ended(i32),
}

impl Report {
    /// The length of a report.
    pub const LENGTH: usize = 5;

    /// The bytes of the report.
    pub fn encode(self) -> [u8; Self::LENGTH] {
        let (kind, number) = match self {
            Self::Starting(supervisor) => (b'P', supervisor),
            Self::Started => (b'S', 0),
            Self::NotStarted(error) => (b'N', error),
            Self::Ended(status) => (b'D', status),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// The report that has these bytes.
    pub fn decode([kind, number @ ..]: [u8; Self::LENGTH]) -> Option<Self> {
        let number = i32::from_le_bytes(number);
        match kind {
            b'P' => Some(Self::Starting(number)),
            b'S' => Some(Self::Started),
            b'N' => Some(Self::NotStarted(number)),
            b'D' => Some(Self::Ended(number)),
            _ => None,
        }
    }
}

/// How many file descriptors a message has at most.
const MOST_HANDLES: usize = 3;

/// Sends bytes and file descriptors, and does not wait.
///
/// # Errors
///
/// Returns an error if the system refuses it, or if the other end is closed.
pub fn send(socket: impl AsFd, bytes: &[u8], handles: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDLES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !handles.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(handles));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    // A message of a few bytes is sent as a whole or not at all.
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)?;
    Ok(())
}

/// Receives bytes and the file descriptors that came with them, and does not wait. Returns the number of bytes, 0 if the other end is
/// closed.
///
/// # Errors
///
/// Returns an error if nothing was received, or if this process can't have more file descriptors.
pub fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDLES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut handles = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            handles.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(rustix::io::Errno::MFILE.into());
    }
    Ok((message.bytes, handles))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn request() -> Request {
        Request {
            grace: Duration::from_millis(500),
            program: "/bin/program".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let invalid = || OsString::from_vec(b"not\xffUTF-8=\n".to_vec());
        let large = "x".repeat(5_000_000);
        type Texts<'a> = &'a [&'a [u8]];
        let table: [(Request, Texts<'_>, Texts<'_>); 3] = [
            (request(), &[b"/bin/program"], &[]),
            (
                Request {
                    grace: Duration::from_secs(20),
                    arguments: vec!["".into(), invalid(), "".into(), "1".into()],
                    environment: vec![
                        ("B".into(), "old".into()),
                        ("A".into(), "".into()),
                        ("B".into(), "b=c".into()),
                        (invalid(), invalid()),
                    ],
                    folder: Some("/a folder".into()),
                    ..request()
                },
                &[b"/bin/program", b"", b"not\xffUTF-8=\n", b"", b"1"],
                &[b"A=", b"B=b=c", b"not\xffUTF-8=\n=not\xffUTF-8=\n"],
            ),
            (
                Request {
                    arguments: vec![large.clone().into()],
                    ..request()
                },
                &[b"/bin/program", large.as_bytes()],
                &[],
            ),
        ];
        for (request, arguments, environment) in table {
            let message = request.encode().unwrap();
            // The byte after it is not read.
            let mut more = [message.as_slice(), &[END]].concat();
            let mut rest = more.as_slice();
            let received = ReceivedRequest::read(&mut rest).unwrap();
            assert_eq!(rest, [END]);
            assert_eq!(received.grace(), request.grace);
            let execution = received.execution().unwrap();
            let folder = request.folder.unwrap_or_default();
            assert_eq!(execution.folder.to_bytes(), folder.as_os_str().as_bytes());
            let bytes = |texts: &[&CStr]| -> Vec<Vec<u8>> {
                texts.iter().map(|text| text.to_bytes().to_vec()).collect()
            };
            assert_eq!(bytes(&execution.arguments), arguments);
            assert_eq!(bytes(&execution.environment), environment);
            more.truncate(message.len() - 1);
            assert!(ReceivedRequest::read(more.as_slice()).is_err());
        }
    }

    #[test]
    fn a_text_with_a_zero_byte_is_no_request() {
        let table = [
            Request {
                program: "/a\0b".into(),
                ..request()
            },
            Request {
                arguments: vec!["\0".into()],
                ..request()
            },
            Request {
                environment: vec![("A".into(), "\0".into())],
                ..request()
            },
            Request {
                environment: vec![("\0".into(), "a".into())],
                ..request()
            },
            Request {
                folder: Some("/\0".into()),
                ..request()
            },
        ];
        for request in table {
            assert_eq!(request.encode(), None);
        }
    }

    #[test]
    fn an_invalid_request_is_not_executed() {
        let table: [(u32, &[u8]); 6] = [
            (1, b""),
            (1, b"/folder\0"),
            (0, b"\0/program\0"),
            (2, b"\0/program\0"),
            (1, b"\0/program"),
            (1, b"\0/program\0A=1"),
        ];
        for (arguments, texts) in table {
            let length = u32::try_from(texts.len()).unwrap();
            let header = Header {
                grace_ms: 500,
                arguments,
                length,
            };
            let message = [header.encode().as_slice(), texts].concat();
            let received = ReceivedRequest::read(message.as_slice()).unwrap();
            assert!(received.execution().is_none());
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for report in [
            Report::Starting(i32::MAX),
            Report::Started,
            Report::NotStarted(2),
            Report::Ended(0),
            Report::Ended(0x7f00),
            Report::Ended(i32::MIN),
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode(*b"X\0\0\0\0"), None);
    }

    #[test]
    fn file_descriptors_arrive_closed_on_exec() {
        let (one, other) = UnixStream::pair().unwrap();
        let (passed, mut kept) = UnixStream::pair().unwrap();
        send(&one, b"S", &[passed.as_fd()]).unwrap();
        drop(passed);
        let mut byte = [0];
        let (length, handles) = receive(&other, &mut byte).unwrap();
        assert_eq!((length, byte, handles.len()), (1, *b"S", 1));
        let flags = rustix::io::fcntl_getfd(&handles[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        drop(handles);
        assert_eq!(kept.read(&mut byte).unwrap(), 0);
        // Nothing to read, and the end.
        let error = receive(&other, &mut byte).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert_eq!(receive(&other, &mut byte).unwrap().0, 0);
    }
}
