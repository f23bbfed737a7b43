//! A list with at least one element, so that its first element can be used without a check.

use std::iter::{Chain, Once, once};

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NonEmpty<T> {
    first: T,
    rest: Vec<T>,
}

impl<T> NonEmpty<T> {
    /// Returns a list of one element.
    pub(crate) fn of(first: T) -> Self {
        Self { first, rest: Vec::new() }
    }

    /// Returns the elements of `list`, or `None` if it is empty.
    pub(crate) fn new(list: Vec<T>) -> Option<Self> {
        let mut all = list.into_iter();
        Some(Self { first: all.next()?, rest: all.collect() })
    }

    pub(crate) fn first(&self) -> &T {
        &self.first
    }

    pub(crate) fn as_ref(&self) -> NonEmpty<&T> {
        NonEmpty { first: &self.first, rest: self.rest.iter().collect() }
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.rest.len()
    }

    pub(crate) fn iter(&self) -> Chain<Once<&T>, std::slice::Iter<'_, T>> {
        once(&self.first).chain(&self.rest)
    }

    /// Returns the results of `make` for all elements, or its first error.
    pub(crate) fn try_map<U, E>(self, mut make: impl FnMut(T) -> Result<U, E>) -> Result<NonEmpty<U>, E> {
        let first = make(self.first)?;
        Ok(NonEmpty { first, rest: self.rest.into_iter().map(make).collect::<Result<_, E>>()? })
    }

    /// Returns the results of `make` for all elements.
    pub(crate) fn map<U>(self, mut make: impl FnMut(T) -> U) -> NonEmpty<U> {
        NonEmpty { first: make(self.first), rest: self.rest.into_iter().map(make).collect() }
    }
}

impl<'a, T> IntoIterator for &'a NonEmpty<T> {
    type Item = &'a T;
    type IntoIter = Chain<Once<&'a T>, std::slice::Iter<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for NonEmpty<T> {
    type Item = T;
    type IntoIter = Chain<Once<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        once(self.first).chain(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_an_empty_one_is_refused() {
        assert_eq!(NonEmpty::<u8>::new(Vec::new()), None);
        let list = NonEmpty::new(vec![1, 2, 3]).unwrap();
        assert_eq!((*list.first(), list.len()), (1, 3));
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(list.clone().try_map(|number| Ok::<_, ()>(number * 2)), Ok(NonEmpty { first: 2, rest: vec![4, 6] }));
        assert_eq!(list.try_map(|number| if number == 2 { Err(number) } else { Ok(number) }), Err(2));
    }
}
