internal import CLZ4

/// LZ4 blocks (the block format, without a frame).
///
/// Source: LZ4 block format description, github.com/lz4/lz4.
package enum LZ4 {
    /// `bytes` compressed, or nil when that would not save at least an eighth.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count > 16, bytes.count < Int(Int32.max) / 2 else { return nil }
        let room = bytes.count - bytes.count / 8
        let compressed = unsafe [UInt8](unsafeUninitializedCapacity: room) { target, count in
            let written = unsafe bytes.withUnsafeBytes { source in
                unsafe LZ4_compress_default(
                    source.bindMemory(to: CChar.self).baseAddress,
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(
                        to: CChar.self), Int32(bytes.count), Int32(room))
            }
            count = Int(max(0, written))
        }
        return compressed.isEmpty ? nil : compressed
    }

    /// The `size` bytes that `compressed` stands for. Malformed input throws and never reads or
    /// writes outside its buffers. The caller bounds `size` before it calls.
    package static func decompress(
        _ compressed: Bytes, size: Int
    ) throws(DecodingError) -> [UInt8] {
        guard size >= 0, size < Int(Int32.max), compressed.count < Int(Int32.max) else {
            throw .tooLong(field: "LZ4 block", count: size, bound: Int(Int32.max))
        }
        guard size > 0 else { return [] }
        var isWhole = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { target, count in
            let written = unsafe compressed.withUnsafeBytes { source in
                unsafe LZ4_decompress_safe(
                    source.bindMemory(to: CChar.self).baseAddress,
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(
                        to: CChar.self), Int32(source.count), Int32(size))
            }
            isWhole = Int(written) == size
            count = isWhole ? size : 0
        }
        guard isWhole else { throw .malformed("LZ4 block") }
        return bytes
    }
}
