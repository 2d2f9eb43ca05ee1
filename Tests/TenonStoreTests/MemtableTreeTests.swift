import TenonCore
import Testing

@testable import TenonStore

/// The tree of a memtable against a sorted array, with keys that try its skips and splits.
@Suite("Memtable tree")
struct MemtableTreeTests {
    /// How keys are made.
    enum Keys: CaseIterable {
        case random, rising, falling, oneBeginning, twoBeginnings, fewKeys, oneKey, prefixes, ones
    }

    private func key(_ keys: Keys, _ step: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        let draw = generator.below(100_000)
        let beginning = [UInt8](repeating: 0x61, count: 40)
        switch keys {
        case .random: return (0..<16).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        case .rising: return Array(hexadecimal(UInt64(step), digits: 16).utf8)
        case .falling: return Array(hexadecimal(UInt64(100_000 - step), digits: 16).utf8)
        case .oneBeginning: return beginning + hexadecimal(draw, digits: 12).utf8
        case .twoBeginnings:
            return beginning + [UInt8(draw % 2)] + beginning + hexadecimal(draw, digits: 9).utf8
        case .fewKeys: return Array("key \(draw % 40)".utf8)
        case .oneKey: return Array("the only key".utf8)
        case .prefixes: return [UInt8](repeating: 0, count: Int(draw % 300))
        case .ones: return [UInt8](repeating: 0xFF, count: Int(draw % 90))
        }
    }

    /// An entry of the reference, in the order of the memtable's.
    private struct Written: Comparable {
        var key: [UInt8]
        var version: UInt64
        var step: Int

        static func < (left: Written, right: Written) -> Bool {
            let order = compareKeys(left.key, right.key)
            if order != 0 { return order < 0 }
            return (left.version, left.step) > (right.version, right.step)
        }
    }

    private func fill(_ memtable: Memtable, _ keys: Keys, count: Int) -> [Written] {
        var generator = SeededGenerator(seed: 7)
        var written: [Written] = []
        for step in 0..<count {
            let key = StoreKey(.user, Bytes(key(keys, step, &generator)))
            // Three writes share a version, as those of a transaction do.
            let version = UInt64(step / 3 + 1)
            memtable.insert(key, Bytes("\(step)"), at: Timestamp(version))
            written.append(Written(key: key.prefixed, version: version, step: step))
        }
        return written.sorted()
    }

    @Test("keeps the order of a sorted array, forward and backward", arguments: Keys.allCases)
    func order(keys: Keys) {
        let memtable = Memtable(after: .zero)
        let expected = fill(memtable, keys, count: 6_000).map { Bytes("\($0.step)") }
        memtable.checkInvariants()
        var forward: [Bytes] = []
        var node = memtable.firstNode(atOrAfter: [], .newest)
        while let place = node {
            forward.append(memtable.value(of: place))
            node = memtable.node(after: place)
        }
        #expect(forward == expected)
        var backward: [Bytes] = []
        node = memtable.lastNode(below: [2])
        while let place = node {
            backward.append(memtable.value(of: place))
            node = memtable.node(before: place)
        }
        #expect(backward == expected.reversed())
    }

    @Test("finds what a search of the sorted array finds", arguments: Keys.allCases)
    func searches(keys: Keys) {
        let memtable = Memtable(after: .zero)
        let written = fill(memtable, keys, count: 1_500)
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<100 {
            var key = written[Int(generator.below(UInt64(written.count)))].key
            if generator.below(3) == 0 { key.append(UInt8(generator.below(256))) }
            if generator.below(3) == 0 { key.removeLast() }
            let version = generator.below(550)
            // Among equal ones the greatest step comes first, so this probe is before them all.
            let probe = Written(key: key, version: version, step: Int.max)
            let first = written.first { $0 >= probe }
            let node = memtable.firstNode(atOrAfter: key, Timestamp(version))
            #expect(node.map { memtable.value(of: $0) } == first.map { Bytes("\($0.step)") })
            let last = written.last { compareKeys($0.key, key) < 0 }
            let before = memtable.lastNode(below: key)
            #expect(before.map { memtable.value(of: $0) } == last.map { Bytes("\($0.step)") })
        }
    }

    @Test("keys in rising order fill its nodes")
    func rising() {
        let memtable = Memtable(after: .zero)
        _ = fill(memtable, .rising, count: 20_000)
        // 16 B before a key of 17 B and a value of at most 5 B, and 12.5 B of its leaf.
        #expect(memtable.bytes < 20_000 * (16 + 17 + 5 + 14))
    }

    @Test("an empty one has no first and no last entry")
    func empty() {
        let memtable = Memtable(after: .zero)
        #expect(memtable.firstNode(atOrAfter: [], .newest) == nil)
        #expect(memtable.lastNode(below: [2]) == nil)
        memtable.checkInvariants()
    }
}
