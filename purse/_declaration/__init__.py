"""The declaration: how the annotations of a ``Store`` class become live collections.

plants: RedisHash[Plant] = field(ttl=...)
        annotation         options
             |                |
          FieldSpec  ---------+              at the definition of the class
             |
garden.plants            RedisHash(client, "{garden}:plants", Plant, ttl=...)      at the first access

metaclass       read, check, claim: the steps at a class statement, in the order of the lines below
annotations     what is written becomes types, now or when the missing names are there
  names           what an annotation can use
  evaluating      text becomes an object, once
  type_forms      what the objects of ``typing`` are made of
options         ``field(...)`` and the class keywords; each structure has its own options, ``RedisList.field(...)``
field_spec      one field: builds its collection on a client
nested          stores that are fields of stores
binding         what a store instance is bound to, and what fields and nested stores have in common
declared        the Declaration: what all others read
parameters      ``__init__`` and the placeholders of the namespace
templates       namespaces with placeholders, and whether two can meet
keys            the form of keys, and which names are refused
reach           every key that a field may write
claims          which class has which namespace
isolation       prefixes of the testing kit
signatures      signatures whose annotations may not exist yet
"""
