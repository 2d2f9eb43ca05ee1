/// Text that no compression makes much smaller.
enum Letters {
    /// Lines of a TSV file, `row-0` and so on.
    static func rows(_ count: Int, valueBytes: Int) -> [String] {
        (0..<count).map { "row-\($0)\t\(random(valueBytes, seed: $0))\n" }
    }

    static func random(_ count: Int, seed: Int) -> String {
        var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for _ in 0..<count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            bytes.append(letters[Int(state >> 58)])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
