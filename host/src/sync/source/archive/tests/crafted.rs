//! Makes archives byte by byte, including ones that no tool makes.

/// Numbers of systems in the entries of an archive.
pub(super) const FAT: u8 = 0;
pub(super) const UNIX: u8 = 3;
pub(super) const NTFS: u8 = 11;
pub(super) const VFAT: u8 = 14;

/// The number of the method deflate.
pub(super) const DEFLATED: u16 = 8;

/// An entry of an archive.
#[derive(Debug, Clone)]
pub(super) struct Item {
    name: Vec<u8>,
    content: Vec<u8>,
    system: u8,
    attributes: u32,
    crc: u32,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// Sizes to write instead of the true ones.
    pub(super) packed: Option<u32>,
    pub(super) size: Option<u32>,
}

impl Item {
    /// Makes an empty file that every user may read.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            content: Vec::new(),
            system: UNIX,
            attributes: 0o100_644 << 16,
            crc: 0,
            flags: 0,
            method: 0,
            packed: None,
            size: None,
        }
    }

    pub(super) fn content(mut self, content: &[u8]) -> Self {
        self.content = content.to_vec();
        self.crc = crc(content);
        self
    }

    /// Compresses the content, as one stored block.
    pub(super) fn deflated(mut self) -> Self {
        let length = u16::try_from(self.content.len()).unwrap();
        self.size = Some(length.into());
        let header = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
        self.content = [header, self.content].concat();
        self.method = DEFLATED;
        self
    }

    pub(super) fn unix(self, mode: u32) -> Self {
        self.by(UNIX, mode << 16)
    }

    pub(super) fn by(mut self, system: u8, attributes: u32) -> Self {
        (self.system, self.attributes) = (system, attributes);
        self
    }

    pub(super) fn sizes(mut self, packed: u32, size: u32) -> Self {
        (self.packed, self.size) = (Some(packed), Some(size));
        self
    }

    /// Returns the common part of the local and the central header.
    fn common(&self) -> Vec<u8> {
        let length = u32::try_from(self.content.len()).unwrap();
        let name = u16::try_from(self.name.len()).unwrap();
        let mut bytes = Vec::new();
        // 2026-01-02 03:04:06
        let (time, date) = (0x1883_u16, 0x5c22_u16);
        for short in [20, self.flags, self.method, time, date] {
            bytes.extend(short.to_le_bytes());
        }
        let (packed, size) = (self.packed.unwrap_or(length), self.size.unwrap_or(length));
        for long in [self.crc, packed, size] {
            bytes.extend(long.to_le_bytes());
        }
        bytes.extend(name.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }
}

/// Makes an archive of entries.
pub(super) fn zip(items: &[Item]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for item in items {
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(b"PK\x03\x04");
        bytes.extend(item.common());
        bytes.extend(&item.name);
        bytes.extend(&item.content);
        central.extend(b"PK\x01\x02");
        central.extend([20, item.system]);
        central.extend(item.common());
        central.extend([0; 6]);
        central.extend(item.attributes.to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(&item.name);
    }
    let (start, length) = (bytes.len(), central.len());
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(items.len()).unwrap().to_le_bytes();
    bytes.extend([count, count].concat());
    for number in [length, start] {
        bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
    }
    bytes.extend([0; 2]);
    bytes
}

/// Computes the CRC-32 of zip.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let carry = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            (crc >> 1) ^ carry
        })
    };
    !bytes.iter().fold(!0, step)
}
