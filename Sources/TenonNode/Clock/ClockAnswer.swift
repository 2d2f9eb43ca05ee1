package import TenonCore

/// What a node says of the clocks when another asks (Rule S2).
package struct ClockAnswer: Hashable, Sendable {
    /// A node's wall clock as it would show now.
    package struct Sample: Hashable, Sendable {
        package var node: NodeID
        package var time: WallTime
        /// How long ago it was read; 0 for the sender's own.
        package var ageMilliseconds: UInt32

        package init(node: NodeID, time: WallTime, ageMilliseconds: UInt32) {
            self.node = node
            self.time = time
            self.ageMilliseconds = ageMilliseconds
        }
    }

    /// What the sender takes for the agreed clock.
    package struct Line: Hashable, Sendable {
        package var time: WallTime
        /// The clocks have stepped away from it.
        package var isStopped: Bool
        /// An operator accepted it.
        package var isAccepted: Bool

        package init(time: WallTime, isStopped: Bool, isAccepted: Bool) {
            self.time = time
            self.isStopped = isStopped
            self.isAccepted = isAccepted
        }
    }

    /// When the question was sent, on the asker's monotonic clock.
    package var askedAt: Instant
    /// The sender's own clock, and those that it has heard: a node that cannot reach another
    /// learns of its clock through a third.
    package var samples: [Sample] = []
    /// Nil while the sender knows no agreed clock.
    package var line: Line?

    /// Bounds ``samples``.
    package static let samplesMax = 64

    package init(askedAt: Instant) { self.askedAt = askedAt }

    /// Layout: asked at 8 · flags 1 (1 line, 2 stopped, 4 accepted) · line 8 (0 without)
    /// · count 4 · samples (node 4 · time 8 · age 4).
    func encode(to writer: inout ByteWriter) {
        writer.uint64(askedAt.nanoseconds)
        var flags: UInt8 = 0
        if let line {
            flags = 1 | (line.isStopped ? 2 : 0) | (line.isAccepted ? 4 : 0)
        }
        writer.uint8(flags)
        writer.uint64(line?.time.milliseconds ?? 0)
        writer.uint32(UInt32(samples.count))
        for sample in samples {
            writer.identifier(sample.node)
            writer.uint64(sample.time.milliseconds)
            writer.uint32(sample.ageMilliseconds)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        askedAt = Instant(nanoseconds: try reader.uint64())
        let flags = try reader.uint8()
        let time = WallTime(milliseconds: try reader.uint64())
        switch flags {
        case 0:
            guard time.milliseconds == 0 else { throw .malformed("a time without a clock") }
        case 1, 3, 5, 7:
            line = Line(time: time, isStopped: flags & 2 != 0, isAccepted: flags & 4 != 0)
        default: throw .malformed("flags of a clock")
        }
        let count = try reader.count(
            "clocks", itemBytes: 16, atMost: ClockAnswer.samplesMax)
        for _ in 0..<count {
            let node = try reader.identifier(NodeID.self)
            let time = WallTime(milliseconds: try reader.uint64())
            samples.append(
                Sample(node: node, time: time, ageMilliseconds: try reader.uint32()))
        }
    }
}
