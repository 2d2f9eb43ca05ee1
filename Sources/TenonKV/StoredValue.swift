internal import TenonCore

/// In this module a stored value is TenonCore's; the store's own is converted where it comes in.
typealias StoredValue = TenonCore.StoredValue
