package import TenonCore

/// Where a workload keeps its keys in one tablet: a prefix that nobody else uses.
package struct KeyRoom: Hashable, Sendable {
    package var tablet: TabletID
    /// All keys of the room begin with it.
    package var prefix: Bytes

    /// One room in every tablet.
    package static func rooms(of workload: String, in parameters: WorkloadParameters) -> [KeyRoom] {
        parameters.tablets.map { tablet in
            let border = border(of: workload, inTabletFrom: tablet.lower)
            return KeyRoom(tablet: tablet.id, prefix: Bytes(border.array + Array("/".utf8)))
        }
    }

    /// A key below all of a workload's keys in a tablet, and above all keys of those before it.
    package static func border(of workload: String, inTabletFrom lower: Bytes) -> Bytes {
        // The first tablet begins at the empty key, and all others at digits or above.
        let lower = lower.isEmpty ? Bytes("!") : lower
        return Bytes(lower.array + Array("/\(workload)".utf8))
    }

    /// Key number `number`, up to 99, in the order of the numbers.
    package func key(_ number: Int) -> Bytes {
        precondition(number >= 0 && number < 100, "key \(number) of a room")
        return Bytes(prefix.array + Array((number < 10 ? "0\(number)" : "\(number)").utf8))
    }

    /// A key beside the room's own, that no scan and no deleted range of the room meets.
    package func receipt(_ number: Int) -> Bytes {
        Bytes(receiptPrefix + Array("\(number)".utf8))
    }

    package func holdsReceipt(_ key: Bytes) -> Bool { key.array.starts(with: receiptPrefix) }

    /// "!" comes before the "/" at the end of the prefix.
    private var receiptPrefix: [UInt8] { prefix.array.dropLast() + [UInt8(ascii: "!")] }

    /// The end of the room's keys.
    package var end: Bytes { Bytes(prefix.array.dropLast() + [UInt8(ascii: "0")]) }
}

/// Makes values that no other write of the run has.
package struct ValueMaker: Sendable {
    private var count = 0
    private let name: String

    package init(_ name: String) { self.name = name }

    /// The next value, padded by up to `paddingMax` bytes so that tables and logs fill up.
    package mutating func next(
        paddingMax: Int = 0, using generator: inout SeededGenerator
    ) -> Bytes {
        count += 1
        let padding = paddingMax > 0 ? Int(generator.below(UInt64(paddingMax))) : 0
        return Bytes("\(name)\(count)" + String(repeating: ".", count: padding))
    }
}

extension SeededGenerator {
    /// An element, evenly.
    package mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int(below(UInt64(elements.count)))]
    }

    /// Whether something happens that happens `percent` times in a hundred.
    package mutating func happens(percent: UInt64) -> Bool { below(100) < percent }
}
