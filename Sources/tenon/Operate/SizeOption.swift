import ArgumentParser

/// A number of bytes as a person writes it: `64KiB`, `1GiB`, `never` for 0.
struct SizeOption: ExpressibleByArgument, Hashable, Sendable {
    let bytes: UInt64

    private static let never = "never"
    private static let units: [(suffix: String, bytes: UInt64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    init(bytes: UInt64) { self.bytes = bytes }

    init?(argument: String) {
        guard argument != SizeOption.never else {
            bytes = 0
            return
        }
        guard let unit = SizeOption.units.first(where: { argument.hasSuffix($0.suffix) }),
            let count = UInt64(argument.dropLast(unit.suffix.count)), count > 0
        else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit.bytes)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    /// As it is typed, in the largest unit of which it is a whole number.
    var text: String {
        guard bytes > 0 else { return SizeOption.never }
        let unit = SizeOption.units.first { bytes % $0.bytes == 0 } ?? ("B", 1)
        return "\(bytes / unit.bytes)\(unit.suffix)"
    }
}
