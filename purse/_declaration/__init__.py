"""The declaration: how the annotations of a ``Store`` class become live collections.

plants: RedisHash[Plant] = field(ttl=...)
        annotation         options
             |                |
          FieldSpec  ---------+              at the definition of the class
             |
garden.plants            RedisHash(client, "{garden}:plants", Plant, ttl=...)      at the first access

metaclass       reads a class body, in the order of the lines below, and refuses a wrong one
annotations     what is written becomes types, now or when the missing names are there
options         ``field(...)`` and the class keywords
field_spec      one field: builds its collection on a client
nested          stores that are fields of stores
parameters      ``__init__`` and the placeholders of the namespace
templates       namespaces with placeholders, and whether two can meet
keys            the form of keys, and which names are refused
reach           every key that a field may write
claims          which class has which namespace
isolation       prefixes of the testing kit
signatures      signatures whose annotations may not exist yet
"""
