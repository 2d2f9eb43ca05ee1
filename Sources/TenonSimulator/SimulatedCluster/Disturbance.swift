package import TenonCore

/// What a network does to the frames that it carries besides delaying them as ever.
///
/// Loss, repetition and overtaking strike the frames of the consensus stream, each of which its
/// sender repeats when it matters. A stream of bulk or of a client is only slower: what gets
/// lost there is sent again below us, in order.
package struct Disturbance: Hashable, Sendable {
    /// Of a thousand frames, how many are lost, arrive twice, or are overtaken by later ones.
    package var lostPerMille = 0
    package var repeatedPerMille = 0
    package var overtakenPerMille = 0
    /// What each frame is later by, at the most.
    package var delayMax = TimeSpan.zero
    /// What a way carries in a second; 0 for no bound.
    package var bytesPerSecond = 0
    /// The node whose ways are struck; nil for all.
    package var node: NodeID?
    /// Only what other nodes send to this one is struck.
    package var receiver: NodeID?

    package init() {}

    func strikes(_ way: Way) -> Bool {
        if let receiver { return way.to == receiver && way.from != Way.clients }
        guard let node else { return true }
        return way.from == node || way.to == node
    }
}

extension SimulatedCluster {
    /// Begins a disturbance; ends with ``endDisturbance(_:)``.
    package func begin(_ disturbance: Disturbance) -> Int {
        disturbanceCount += 1
        disturbances.append((disturbanceCount, disturbance))
        return disturbanceCount
    }

    package func endDisturbance(_ number: Int) { disturbances.removeAll { $0.number == number } }

    /// How many copies of a frame arrive (0, 1 or 2), and whether later frames overtake it.
    func fate(of way: Way) -> (copies: Int, isOvertaken: Bool) {
        guard !disturbances.isEmpty else { return (1, false) }
        var fate = (copies: 1, isOvertaken: false)
        for (_, disturbance) in disturbances where disturbance.strikes(way) {
            let chance = Int(generator.below(1_000))
            if chance < disturbance.lostPerMille {
                fate.copies = 0
            } else if chance < disturbance.lostPerMille + disturbance.repeatedPerMille {
                fate.copies = 2
            }
            if Int(generator.below(1_000)) < disturbance.overtakenPerMille {
                fate.isOvertaken = true
            }
        }
        return fate
    }

    /// The time a frame of `bytes` is under way.
    func passage(of bytes: Int, on way: Way) -> TimeSpan {
        var span = draw(options.networkDelay)
        guard !disturbances.isEmpty else { return span }
        for (_, disturbance) in disturbances where disturbance.strikes(way) {
            if disturbance.delayMax > .zero {
                span = span + draw(.zero...disturbance.delayMax)
            }
            if disturbance.bytesPerSecond > 0 {
                let nanoseconds = bytes * 1_000_000 / disturbance.bytesPerSecond * 1_000
                span = span + TimeSpan(nanoseconds: UInt64(nanoseconds))
            }
        }
        return span
    }
}

extension TimeSpan {
    static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: left.nanoseconds + right.nanoseconds)
    }
}
