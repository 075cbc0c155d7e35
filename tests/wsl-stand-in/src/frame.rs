//! What client and server send each other: a kind, a length, bytes.

use std::io::{self, Read, Write};

/// What a frame means. The client sends the first ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An argument.
    Argument,
    /// The user wants UTF-8.
    Utf8,
    /// The error that starts are to end with.
    Fault,
    /// A file that an argument names is not there.
    Missing,
    /// The content of a file that an argument names.
    File,
    /// All of the above is said.
    Begin,
    /// Bytes of standard input.
    Input,
    /// Its end.
    InputEnd,
    /// Bytes of standard output.
    Output,
    /// Bytes of standard error.
    Error,
    /// A file to be written: path, NUL, content.
    Write,
    /// A file to be removed.
    Remove,
    /// The exit code, in four bytes.
    Exit,
}

const KINDS: [Kind; 13] = [
    Kind::Argument,
    Kind::Utf8,
    Kind::Fault,
    Kind::Missing,
    Kind::File,
    Kind::Begin,
    Kind::Input,
    Kind::InputEnd,
    Kind::Output,
    Kind::Error,
    Kind::Write,
    Kind::Remove,
    Kind::Exit,
];

pub(crate) fn write(to: &mut impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let number = KINDS.iter().position(|it| *it == kind).unwrap_or_default();
    let mut frame = vec![u8::try_from(number).map_err(io::Error::other)?];
    frame.extend(length.to_le_bytes());
    frame.extend_from_slice(bytes);
    to.write_all(&frame)?;
    to.flush()
}

pub(crate) fn read(from: &mut impl Read) -> io::Result<(Kind, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let kind = KINDS.get(usize::from(head[0]));
    let kind = *kind.ok_or(io::ErrorKind::InvalidData)?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    Ok((kind, bytes))
}
