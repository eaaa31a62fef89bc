//! Types that have one form in JSON.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, marker::PhantomData, net::IpAddr, sync::Arc};

#[cfg(test)]
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::{Form, InForm, Own, Reading, Shape, Value, Writing};

/// As serde has them.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn write(&self, out: &mut Writing<'_>) {
                out.plain(self);
            }

            fn read<'de, D: Deserializer<'de>>(value: D, _: &Reading) -> Result<Self, D::Error> {
                <$type>::deserialize(value)
            }

            #[cfg(test)]
            fn any() -> BoxedStrategy<Self> {
                any::<$type>().boxed()
            }
        }
    )*};
}
plain!(bool, u8, u16, u32, u64, i64, f64, String);

impl Value for IpAddr {
    fn write(&self, out: &mut Writing<'_>) {
        out.plain(self);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, _: &Reading) -> Result<Self, D::Error> {
        IpAddr::deserialize(value)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        // As events have them: never IPv4-mapped IPv6.
        any::<IpAddr>().prop_map(|addr| addr.to_canonical()).boxed()
    }
}

impl Value for Arc<str> {
    fn write(&self, out: &mut Writing<'_>) {
        out.plain(&**self);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        line.text(value, |text| Some(text.into()))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        any::<String>().prop_map(Arc::from).boxed()
    }
}

impl<T: Value> Value for Box<T> {
    const SHAPE: Shape = T::SHAPE;

    fn write(&self, out: &mut Writing<'_>) {
        T::write(self, out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        T::read(value, line).map(Box::new)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        T::any().prop_map(Box::new).boxed()
    }
}

impl<T: Value> Value for Option<T> {
    const SHAPE: Shape = T::SHAPE;

    fn write(&self, out: &mut Writing<'_>) {
        <Option<Own> as Form<_>>::write(self, out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        <Option<Own> as Form<_>>::read(value, line)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        <Option<Own> as Form<_>>::any()
    }
}

/// `null`, or a value in the form `F`.
impl<T, F: Form<T>> Form<Option<T>> for Option<F>
where
    T: std::fmt::Debug + 'static,
{
    const SHAPE: Shape = F::SHAPE;

    fn write(value: &Option<T>, out: &mut Writing<'_>) {
        match value {
            Some(value) => F::write(value, out),
            None => out.raw("null"),
        }
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Option<T>, D::Error> {
        struct OrNull<'a, F, T>(&'a Reading, PhantomData<(F, T)>);
        impl<'de, F: Form<T>, T> Visitor<'de> for OrNull<'_, F, T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("null or a value")
            }

            fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Option<T>, D::Error> {
                F::read(value, self.0).map(Some)
            }
        }
        value.deserialize_option(OrNull::<F, T>(line, PhantomData))
    }

    fn missing() -> Option<Option<T>> {
        Some(None)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Option<T>> {
        proptest::option::of(F::any()).boxed()
    }
}

impl<T: Value> Value for Vec<T> {
    const SHAPE: Shape = T::SHAPE;

    fn write(&self, out: &mut Writing<'_>) {
        out.raw("[");
        for (at, value) in self.iter().enumerate() {
            out.raw(if at > 0 { "," } else { "" });
            value.write(out);
        }
        out.raw("]");
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        struct List<'a, T>(&'a Reading, PhantomData<T>);
        impl<'de, T: Value> Visitor<'de> for List<'_, T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element_seed(InForm::<Own, T>::new(self.0))? {
                    list.push(value);
                }
                Ok(list)
            }
        }
        value.deserialize_seq(List(line, PhantomData))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        vec(T::any(), 0..3).boxed()
    }
}

/// What may be the name of a field of a map.
pub(crate) trait Key: Sized {
    /// As it stands in the line.
    fn text(&self) -> Cow<'_, str>;

    /// What that text stands for.
    fn known(text: &str) -> Option<Self>;

    /// Which comes first in the line: by name, as people look for them.
    fn order(&self, other: &Self) -> Ordering {
        self.text().cmp(&other.text())
    }

    /// Any one.
    #[cfg(test)]
    fn any() -> BoxedStrategy<Self>;
}

impl Key for String {
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn known(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        any::<String>().boxed()
    }
}

impl Key for Cow<'static, str> {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }

    fn known(text: &str) -> Option<Self> {
        Some(text.to_owned().into())
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        any::<String>().prop_map(Cow::Owned).boxed()
    }
}

impl Key for u32 {
    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }

    fn known(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        any::<u32>().boxed()
    }
}

/// Reads a [`Key`].
struct KeyOf<'a, K>(&'a Reading, PhantomData<K>);

impl<'de, K: Key> DeserializeSeed<'de> for KeyOf<'_, K> {
    type Value = K;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<K, D::Error> {
        self.0.text(name, K::known)
    }
}

impl<K, V> Value for BTreeMap<K, V>
where
    K: Key + Ord + std::fmt::Debug + 'static,
    V: Value,
{
    fn write(&self, out: &mut Writing<'_>) {
        let mut sorted: Vec<(&K, &V)> = self.iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.order(other));
        out.raw("{");
        for (at, (key, value)) in sorted.into_iter().enumerate() {
            out.raw(if at > 0 { "," } else { "" });
            out.plain(&*key.text());
            out.raw(":");
            value.write(out);
        }
        out.raw("}");
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error> {
        struct Map<'a, K, V>(&'a Reading, PhantomData<(K, V)>);
        impl<'de, K: Key + Ord, V: Value> Visitor<'de> for Map<'_, K, V> {
            type Value = BTreeMap<K, V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BTreeMap<K, V>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(key) = map.next_key_seed(KeyOf::<K>(self.0, PhantomData))? {
                    values.insert(key, map.next_value_seed(InForm::<Own, V>::new(self.0))?);
                }
                Ok(values)
            }
        }
        value.deserialize_map(Map(line, PhantomData))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        btree_map(K::any(), V::any(), 0..5).boxed()
    }
}
