extension ByteReader {
    /// A reader of the body of a small file that is written as a whole, after its checksum, magic and
    /// version were checked.
    ///
    /// Layout: magic 4 · version 2 · body · CRC-32C of all before 4.
    ///
    /// - Throws: `truncated`, `malformed` or, for a version that this software does not know,
    ///   `unknownKind`.
    package static func checked(
        _ bytes: [UInt8], magic: UInt32, version: UInt16
    ) throws(DecodingError) -> ByteReader {
        guard bytes.count > 10 else { throw .truncated }
        let body = 0..<bytes.count - 4
        var trailer = ByteReader(bytes, in: body.upperBound..<bytes.count)
        guard CRC32C(bytes, in: body).rawValue == (try trailer.uint32()) else {
            throw .malformed("checksum")
        }
        var reader = ByteReader(bytes, in: body)
        guard try reader.uint32() == magic else { throw .malformed("magic") }
        let found = try reader.uint16()
        guard found == version else {
            throw .unknownKind(field: "format version", value: UInt64(found))
        }
        return reader
    }
}
