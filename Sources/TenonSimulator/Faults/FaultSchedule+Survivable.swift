internal import TenonCore

/// What a schedule may not hold, as no store could survive it.
extension FaultSchedule {
    /// How far apart faults are kept that must not meet, in milliseconds.
    private static let apart = 2_000

    /// Without faults that meet others that they must not meet:
    ///
    /// - A misdirected write that a crash follows within a moment cannot be told from a torn tail
    ///   (Rule L2).
    /// - A folder is rolled back only while somebody is there who saw the newer one (Rule I2): one
    ///   other node may come and go with its folder, as long as the rest stay.
    func survivable() -> FaultSchedule {
        let delicate = separated(events.filter(\.fault.isDelicate))
        return FaultSchedule(
            events.filter { event in
                event.fault.isDelicate
                    ? delicate.contains(event)
                    : !delicate.contains { FaultSchedule.areNear($0, event) }
            })
    }

    /// Whether no other event is near this one.
    func isAlone(_ event: Event) -> Bool {
        !events.contains { $0 != event && FaultSchedule.areNear($0, event) }
    }

    /// Of delicate events, those that may stand together; the earlier goes before the later.
    private func separated(_ delicate: [Event]) -> [Event] {
        var kept: [Event] = []
        for event in delicate {
            let near = kept.filter { FaultSchedule.areNear($0, event) }
            let isKept =
                if event.fault.isRollBack {
                    near.isEmpty || near.count == 1 && event.fault.mayMeet(near[0].fault)
                } else {
                    near.filter(\.fault.isRollBack).allSatisfy { other in
                        other.fault.mayMeet(event.fault)
                            && kept.count { FaultSchedule.areNear($0, other) } == 1  // Itself.
                    }
                }
            if isKept { kept.append(event) }
        }
        return kept
    }

    private static func areNear(_ one: Event, _ other: Event) -> Bool {
        one.beginsAt < other.endsAt + apart && other.beginsAt < one.endsAt + apart
    }
}

extension Fault {
    /// Whether no other fault may begin or last near it.
    fileprivate var isDelicate: Bool {
        switch self {
        case .rollBack, .wipe: true
        // Nodes that all start again have nothing to measure a step by.
        case .clockShift(.nodes(let nodes), _, _): nodes.count > 1
        case .disk(_, let fault): if case .misdirect = fault.kind { true } else { false }
        default: false
        }
    }

    fileprivate var isRollBack: Bool {
        if case .rollBack = self { true } else { false }
    }

    /// Whether a roll-back and `other` leave somebody who remembers: one node besides is struck.
    fileprivate func mayMeet(_ other: Fault) -> Bool {
        guard case .rollBack(.nodes(let rolled)) = self, case .wipe(.nodes(let wiped)) = other
        else { return false }
        return wiped.count == 1 && wiped != rolled
    }
}
