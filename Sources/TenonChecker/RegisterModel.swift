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

/// An operation as a step of one register.
enum RegisterAction {
    /// Saw this value; and its version, 0 when it did not say.
    case read(value: Int, version: UInt64)
    /// Leaves this value (0: none) at this version.
    case write(value: Int, version: UInt64)
    /// Writes when the condition holds.
    case conditionalWrite(RegisterCondition, value: Int, version: UInt64)
    /// Found that the condition does not hold; saw this value when it said so.
    case conditionFailed(RegisterCondition, seen: Int?)

    /// Nil for what says nothing: a failed or unanswered read, a write that was surely not applied.
    init?(_ operation: HistoryOperation, values: inout ValueTable) {
        let version = operation.version?.rawValue ?? 0
        switch (operation.action, operation.result) {
        case (.get, .ok):
            guard let read = operation.read else { return nil }
            self = .read(value: values.number(read), version: version)
        case (.put(_, let value), .ok), (.put(_, let value), .unknown):
            self = .write(value: values.number(value), version: version)
        case (.delete, .ok), (.delete, .unknown):
            self = .write(value: 0, version: 0)
        case (.compareAndSet(_, let value, let expect), .ok),
            (.compareAndSet(_, let value, let expect), .unknown):
            let condition = RegisterCondition(expect, values: &values)
            self = .conditionalWrite(condition, value: values.number(value), version: version)
        case (.compareAndSet(_, _, let expect), .fail):
            // Without a point it was refused, not answered: it never met the register.
            guard operation.read != nil || operation.at != nil else { return nil }
            let seen = operation.read.map { values.number($0) }
            self = .conditionFailed(RegisterCondition(expect, values: &values), seen: seen)
        default:
            return nil
        }
    }

    /// The state after it, or nil when it cannot have been answered so in `state`.
    func applied(to state: RegisterState) -> RegisterState? {
        switch self {
        case .read(let value, let version):
            let isSameVersion =
                value == 0 || version == 0 || state.version == 0
                || version == state.version
            guard value == state.value, isSameVersion else { return nil }
            // The read told the version of a write whose own answer was lost.
            let isTold = value != 0 && state.version == 0
            return isTold ? RegisterState(value: value, version: version) : state
        case .write(let value, let version):
            return RegisterState(value: value, version: value == 0 ? 0 : version)
        case .conditionalWrite(let condition, let value, let version):
            guard condition.holds(in: state) != false else { return nil }
            return RegisterState(value: value, version: version)
        case .conditionFailed(let condition, let seen):
            guard condition.holds(in: state) != true else { return nil }
            return seen == nil || seen == state.value ? state : nil
        }
    }

    var changesState: Bool {
        switch self {
        case .write, .conditionalWrite: true
        case .read, .conditionFailed: false
        }
    }

    /// Whether its answer may rest on a write without naming that write's value.
    var dependsBlindly: Bool {
        switch self {
        case .conditionFailed(_, seen: nil): true
        case .conditionalWrite(.present, _, _), .conditionalWrite(.version, _, _): true
        case .read, .write, .conditionalWrite, .conditionFailed: false
        }
    }

    /// Values that this can only follow.
    var valuesLookedFor: [Int] {
        switch self {
        case .read(let value, _): [value]
        case .conditionalWrite(.value(let value), _, _): [value]
        case .conditionFailed(let condition, let seen):
            if case .value(let value) = condition {
                [value] + (seen.map { [$0] } ?? [])
            } else {
                seen.map { [$0] } ?? []
            }
        case .write, .conditionalWrite: []
        }
    }

    func writes(oneOf values: [Int]) -> Bool {
        switch self {
        case .write(let value, _), .conditionalWrite(_, let value, _): values.contains(value)
        case .read, .conditionFailed: false
        }
    }
}
