internal import TenonChecker
internal import TenonCore

/// Scans in both directions, whole and in pages, of keys that are written, deleted and deleted by
/// ranges at the same time.
package struct ScanScript: WorkloadScript {
    package static let name = "scans"
    package static let clientCount = 4
    private static let keyCount = 24

    private let rooms: [KeyRoom]
    private var generator: SeededGenerator
    private var values = ValueMaker("s")

    package init(rooms: [KeyRoom], seed: UInt64) {
        self.rooms = rooms
        generator = SeededGenerator(seed: seed)
    }

    package mutating func next(at place: Int) -> ScriptStep? {
        let room = generator.pick(rooms)
        switch generator.below(20) {
        case 0..<10:
            let value = values.next(paddingMax: 120, using: &generator)
            return ScriptStep(.put(key: room.key(number()), value: value), in: room)
        case 10: return ScriptStep(.delete(key: room.key(number())), in: room)
        case 11:
            let (from, to) = range(in: room)
            return ScriptStep(.deleteRange(from: from, to: to), in: room)
        case 12..<14: return ScriptStep(.get(key: room.key(number())), in: room)
        default:
            let (from, to) = generator.happens(percent: 40) ? whole(room) : range(in: room)
            let limit = generator.happens(percent: 50) ? 1 + Int(generator.below(8)) : nil
            return ScriptStep(
                .scan(
                    from: from, to: to, limit: limit, isReverse: generator.happens(percent: 40)),
                in: room)
        }
    }

    /// One whole scan of every room at the end shows what is left.
    private var roomsShown = 0

    package mutating func closingStep() -> ScriptStep? {
        guard roomsShown < rooms.count else { return nil }
        roomsShown += 1
        let room = rooms[roomsShown - 1]
        return ScriptStep(
            .scan(from: room.prefix, to: room.end, limit: nil, isReverse: false), in: room)
    }

    private mutating func number() -> Int { Int(generator.below(UInt64(ScanScript.keyCount))) }

    private func whole(_ room: KeyRoom) -> (Bytes, Bytes?) { (room.prefix, room.end) }

    private mutating func range(in room: KeyRoom) -> (Bytes, Bytes?) {
        let start = number()
        let width = 1 + Int(generator.below(8))
        return (room.key(start), room.key(min(start + width, 99)))
    }
}
