/// Where the next page of a scan begins: all that is kept between two pages, and kept by the
/// client (Rules, F). Opaque to users; the client reads the key to find the tablet.
///
/// Layout:
/// ```
/// format 1 · direction 1 (0 forward, 1 backward) · version 8 · key length 4 · key · CRC-32C 4
/// ```
/// The checksum covers what stands before it. It finds accidents, not forgery: a forged token
/// reads nothing that the scan it came with could not read.
package struct PageToken: Hashable, Sendable {
    /// The first key of the next page; of a backward scan the key before which it ends.
    package var key: Bytes
    /// The version the scan reads at; nil when the next tablet chooses its newest.
    package var version: Timestamp?
    package var isReversed: Bool

    package init(key: Bytes, version: Timestamp?, isReversed: Bool) {
        self.key = key
        self.version = version
        self.isReversed = isReversed
    }

    private static let format: UInt8 = 1
    /// A key's successor is one byte longer than the longest key.
    private static let keyBytesMax = Limits.keyBytesMax + 1
    private static let checksumBytes = 4

    package func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 18 + key.count)
        writer.uint8(PageToken.format)
        writer.flag(isReversed)
        writer.identifier(version ?? .zero)
        writer.lengthPrefixed(key)
        writer.uint32(CRC32C(writer.bytes).rawValue)
        return Bytes(writer.take())
    }

    /// - Throws: `malformed`, `truncated`, … when `bytes` are not a whole token of this format.
    package init(_ bytes: Bytes) throws(DecodingError) {
        guard bytes.count > PageToken.checksumBytes else { throw .truncated }
        let checked = bytes[0..<bytes.count - PageToken.checksumBytes]
        var trailer = ByteReader(bytes[checked.count..<bytes.count])
        guard try trailer.uint32() == CRC32C(checked).rawValue else {
            throw .malformed("checksum of a page token")
        }
        var reader = ByteReader(checked)
        let format = try reader.uint8()
        guard format == PageToken.format else {
            throw .unknownKind(field: "page token", value: UInt64(format))
        }
        isReversed = try reader.flag("direction")
        let version = try reader.identifier(Timestamp.self)
        self.version = version == .zero ? nil : version
        key = try reader.lengthPrefixedBytes("page key", atMost: PageToken.keyBytesMax)
        try reader.finish()
    }
}
