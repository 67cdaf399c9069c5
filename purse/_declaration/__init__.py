"""The declaration: how the annotations of a ``Store`` class become live collections.

plants: RedisHash[Plant] = field(ttl=...)
        annotation         options
             |                |
          FieldSpec  ---------+              at the definition of the class
             |
garden.plants            RedisHash(client, "{garden}:plants", Plant, ttl=...)      at the first access

metaclass       read, check, claim: the steps at a class statement
annotations     turns annotations into types, now or as soon as the missing names exist
  names           the names that an annotation can use
  evaluating      evaluates text, once
  type_forms      the parts of the objects of ``typing``
options         ``field(...)`` and the class keywords. Options of one structure are declared there, ``RedisList.field``
field_spec      one field: builds its collection on a client
nested          stores that are fields of stores
binding         the client and namespace of a store instance, and the common interface of fields and nested stores
declared        the Declaration, which all other modules read
parameters      ``__init__`` and the placeholders of the namespace
templates       namespaces with placeholders, and whether two of them can give one namespace
keys            the form of keys, and which names are refused
reach           every key that a field may write
claims          which class has which namespace, and which fields of related classes would share a key
isolation       the prefixes of the testing kit
signatures      signatures whose annotations may not exist yet
"""
