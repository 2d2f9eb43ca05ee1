internal import TenonCore

/// What a register holds: a value by its number in the ``ValueTable`` (0: none), and the version
/// it was written at (0: not known, the writer got no answer).
struct RegisterState: Hashable {
    var value: Int
    var version: UInt64

    static let initial = RegisterState(value: 0, version: 0)
}

/// Numbers the values of one key, so that states compare by integers.
struct ValueTable {
    private var numbers: [Bytes: Int] = [:]

    mutating func number(_ value: Bytes) -> Int {
        if let number = numbers[value] { return number }
        numbers[value] = numbers.count + 1
        return numbers.count
    }

    mutating func number(_ reading: HistoryOperation.Reading) -> Int {
        switch reading {
        case .absent: 0
        case .value(let bytes): number(bytes)
        }
    }
}

/// What must hold of the state for a compare-and-set, in numbers.
enum RegisterCondition: Hashable {
    case none
    case absent
    case present
    case version(UInt64)
    case value(Int)

    init(_ condition: Condition, values: inout ValueTable) {
        self =
            switch condition {
            case .none: .none
            case .absent: .absent
            case .present: .present
            case .version(let version): .version(version.rawValue)
            case .value(let bytes): .value(values.number(bytes))
            }
    }

    /// Nil: it depends on a version that nobody was told.
    func holds(in state: RegisterState) -> Bool? {
        switch self {
        case .none: true
        case .absent: state.value == 0
        case .present: state.value != 0
        case .value(let value): state.value == value
        case .version(let version):
            if state.value == 0 {
                false
            } else if state.version == 0 {
                nil
            } else {
                state.version == version
            }
        }
    }
}

/// What was seen of one register, in numbers.
enum RegisterSight: Hashable {
    /// This value (0: none); and its version, 0 when it was not told.
    case read(value: Int, version: UInt64)
    case present
    case holds(RegisterCondition)
    case fails(RegisterCondition)

    init(_ sight: Footprint.Sight, values: inout ValueTable) {
        self =
            switch sight {
            case .absent: .read(value: 0, version: 0)
            case .present: .present
            case .value(let bytes, let version):
                .read(value: values.number(bytes), version: version?.rawValue ?? 0)
            case .holds(let condition): .holds(RegisterCondition(condition, values: &values))
            case .fails(let condition): .fails(RegisterCondition(condition, values: &values))
            }
    }

    /// Whether it can have been seen in `state`.
    func mayBe(of state: RegisterState) -> Bool {
        switch self {
        case .read(let value, let version):
            value == state.value
                && (value == 0 || version == 0 || state.version == 0 || version == state.version)
        case .present: state.value != 0
        case .holds(let condition): condition.holds(in: state) != false
        case .fails(let condition): condition.holds(in: state) != true
        }
    }
}

/// An operation as a step of one register: what it saw, and what it left.
struct RegisterAction {
    var sights: [RegisterSight]
    /// Nil when it changed nothing.
    var left: RegisterState?

    /// The state after it, or nil when it cannot have been answered so in `state`.
    func applied(to state: RegisterState) -> RegisterState? {
        for sight in sights where !sight.mayBe(of: state) { return nil }
        if let left { return left }
        guard state.version == 0, state.value != 0 else { return state }
        // A read told the version of a write whose own answer was lost.
        for case .read(_, let version) in sights where version != 0 {
            return RegisterState(value: state.value, version: version)
        }
        return state
    }

    /// The version that it saw; nil when it was told none.
    var versionSeen: UInt64? {
        for case .read(let value, let version) in sights where value != 0 && version != 0 {
            return version
        }
        return nil
    }

    var changesState: Bool { left != nil }

    /// Whether its answer may rest on a write without naming that write's value.
    var dependsBlindly: Bool {
        var isRead = false
        var isBlind = false
        for sight in sights {
            switch sight {
            case .read: isRead = true
            case .present, .holds(.present), .holds(.version), .fails: isBlind = true
            case .holds: break
            }
        }
        return isBlind && !isRead
    }

    /// Values that this can only follow.
    var valuesLookedFor: [Int] {
        sights.compactMap { sight in
            switch sight {
            case .read(let value, _), .holds(.value(let value)), .fails(.value(let value)): value
            case .present, .holds, .fails: nil
            }
        }
    }

    func writes(oneOf values: [Int]) -> Bool { left.map { values.contains($0.value) } ?? false }
}
