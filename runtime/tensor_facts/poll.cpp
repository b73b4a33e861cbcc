// What a step has to know of thousands of tensors, read without a call of Python for each.
//
// In: lists of tensors as Python objects, and what is expected of them. Out: addresses, and the first tensor that is not
// as expected. Tensors are read through torch's stable C interface, whose functions come in as pointers, so this needs no
// header of torch; Python's functions are those of its stable interface, declared here, so this needs no header of Python
// either. Called with the interpreter's lock held. Nothing here writes to a tensor, but for `write_numbers`; `bump_versions`
// counts for autograd.

#include <cstdint>

extern "C" {
struct Object;
Object* PyList_GetItem(Object*, intptr_t);                  // borrowed
intptr_t PyList_Size(Object*);
Object* PyList_New(intptr_t);                               // owned
int PyList_SetItem(Object*, intptr_t, Object*);             // takes the item
Object* PyObject_GetAttr(Object*, Object*);                 // owned
Object* PyDict_GetItemWithError(Object*, Object*);          // borrowed
Object* PyObject_Type(Object*);                             // owned
void PyErr_Clear();
void Py_IncRef(Object*);
void Py_DecRef(Object*);
}

namespace {

// What torch calls a tensor's handle: the address of one machine word, which lies within the Python object too.
typedef const void* Handle;

// What may be found; the order is that of `CAUSES` in tensor_reader.py.
enum Finding : int64_t { kSame, kType, kDtype, kShape, kStrides, kDevice, kLazy, kShared };

}  // namespace

extern "C" {

// Functions of torch/csrc/inductor/aoti_torch/c/shim.h, which return 0 if all is well, and three that it lacks.
struct Torch {
  int64_t offset;      // of the handle within a Python object
  int64_t of_type;     // offset of an object's type within it; 0: unknown
  int64_t of_items;    // offset of the address of a list's items within it; 0: unknown
  const Object* none;  // Python's None, which a gradient can be
  int32_t (*layout)(Handle, int32_t*);
  int32_t (*dtype)(Handle, int32_t*);
  int32_t (*device_type)(Handle, int32_t*);
  int32_t (*device_index)(Handle, int32_t*);
  int32_t (*dimensions)(Handle, int64_t*);
  int32_t (*shape)(Handle, int64_t**);
  int32_t (*strides)(Handle, int64_t**);
  int32_t (*data)(Handle, void**);
  bool (*is_neg)(Handle);
  bool (*is_conj)(Handle);
  void (*bump_version)(Handle);  // throws if the tensor has none
};

// What tensors that agree in it are: torch's numbers.
struct Kind {
  int32_t layout, dtype, device_type, device_index;
};

static Handle handle_of(const Torch& torch, Object* object) { return reinterpret_cast<const char*>(object) + torch.offset; }

// The items of a list, or those at some places. While it is in use, nothing may run that could change the list.
struct Items {
  Object* list;
  Object* const* items;   // null: they have to be asked for
  const int64_t* places;  // null: all
  Items(const Torch& torch, Object* list, const int64_t* places = nullptr) : list(list), items(nullptr), places(places) {
    if (torch.of_items) items = *reinterpret_cast<Object* const* const*>(reinterpret_cast<const char*>(list) + torch.of_items);
  }
  Object* operator[](int64_t index) const {
    const int64_t place = places ? places[index] : index;
    return items ? items[place] : PyList_GetItem(list, place);
  }
};

static Object* type_of(const Torch& torch, Object* object) {
  if (torch.of_type) return *reinterpret_cast<Object* const*>(reinterpret_cast<const char*>(object) + torch.of_type);
  Object* type = PyObject_Type(object);
  Py_DecRef(type);  // the object has a reference of its own
  return type;
}

// A launch leaves its own data in the caches, and a tensor is read from half a dozen places: what some of them are read
// from is fetched at once.
constexpr int64_t kTogether = 64;  // tensors

static void fetch_handles(const Torch& torch, Object* const* objects, int64_t count) {
  for (int64_t i = 0; i < count; ++i) __builtin_prefetch(handle_of(torch, objects[i]));
}

// The objects are tensors, or None.
static void fetch_tensors(const Torch& torch, Object* const* objects, int64_t count) {
  constexpr int64_t kLine = 64, kBytes = 4 * kLine;  // torch's part of a tensor has some 200
  for (int64_t i = 0; i < count; ++i) {
    if (objects[i] == torch.none) continue;
    const char* part = *static_cast<const char* const*>(handle_of(torch, objects[i]));
    for (int64_t at = 0; at < kBytes; at += kLine) __builtin_prefetch(part + at);
  }
}

struct Expected {
  const Torch* torch;
  Object* const* types;       // exact types that are taken
  int64_t type_count;
  int64_t size;               // of the list
  const int64_t* places;      // of the tensors in it; null: all
  int64_t count;              // of the tensors
  Kind kind;
  int64_t bytes;              // of an element
  int64_t is_complex;
  const int64_t* layouts;     // per tensor: dimensions, shape, strides
  int64_t shape_only;         // whether strides may be anything
  const int64_t* starts;      // stretches of memory, in order, that no moved tensor may reach into
  const int64_t* ends;
  int64_t stretches;
};

// Looks at every expected tensor of a list, in which anything may lie. Where all are as expected: writes their addresses,
// counts those that changed in `moved` and returns kSame. Else returns what differs; `where` is the tensor's position then. `addresses` may be partly
// new then, so whoever kept them must take them anew.
int64_t thetac_poll(Object* list, const Expected* expected, int64_t* addresses, int64_t* moved, int64_t* where) {
  const Torch& torch = *expected->torch;
  const int64_t* layout = expected->layouts;
  const int64_t count = expected->count;
  *moved = 0;
  *where = 0;
  if (PyList_Size(list) != expected->size) return kType;
  const Items tensors(torch, list, expected->places);
  for (int64_t first = 0; first < count; first += kTogether) {
    Object* objects[kTogether];
    const int64_t together = count - first < kTogether ? count - first : kTogether;
    for (int64_t i = 0; i < together; ++i) {
      objects[i] = tensors[first + i];
      const Object* type = type_of(torch, objects[i]);
      bool known = false;
      for (int64_t t = 0; t < expected->type_count; ++t) known = known || type == expected->types[t];
      *where = first + i;
      if (!known) return kType;
    }
    fetch_handles(torch, objects, together);
    fetch_tensors(torch, objects, together);
    for (int64_t i = 0; i < together; ++i) {
      *where = first + i;
      const Handle tensor = handle_of(torch, objects[i]);
      int32_t number;
      if (torch.is_neg(tensor) || (expected->is_complex && torch.is_conj(tensor))) return kLazy;
      if (torch.layout(tensor, &number) != 0 || number != expected->kind.layout) return kType;
      if (torch.dtype(tensor, &number) != 0 || number != expected->kind.dtype) return kDtype;
      const int64_t dimensions = *layout++;
      int64_t found;
      int64_t *shape_found, *strides_found;
      if (torch.dimensions(tensor, &found) != 0 || found != dimensions) return kShape;
      if (torch.shape(tensor, &shape_found) != 0 || torch.strides(tensor, &strides_found) != 0) return kType;
      const int64_t* shape = layout;
      const int64_t* strides = layout + dimensions;
      layout += 2 * dimensions;
      int64_t elements = 1, reach = 0;
      for (int64_t d = 0; d < dimensions; ++d) {
        if (shape_found[d] != shape[d]) return kShape;
        if (!expected->shape_only && shape[d] > 1 && strides_found[d] != strides[d]) return kStrides;
        elements *= shape[d];
        reach += (shape[d] - 1) * strides_found[d];
      }
      if (torch.device_type(tensor, &number) != 0 || number != expected->kind.device_type) return kDevice;
      // A CPU has no number.
      if (expected->kind.device_type != 0 &&
          (torch.device_index(tensor, &number) != 0 || number != expected->kind.device_index))
        return kDevice;
      void* data;
      if (torch.data(tensor, &data) != 0) return kType;
      const int64_t address = reinterpret_cast<int64_t>(data);
      if (elements && !address) return kType;
      int64_t& known_address = addresses[first + i];
      if (address == known_address) continue;
      ++*moved;
      known_address = address;
      if (elements && expected->stretches) {
        // The first stretch that ends behind the tensor's start must not begin before the tensor's end.
        const int64_t end = address + (reach + 1) * expected->bytes;
        int64_t low = 0, high = expected->stretches;
        while (low < high) {
          const int64_t middle = (low + high) / 2;
          if (expected->ends[middle] > address) high = middle; else low = middle + 1;
        }
        if (low < expected->stretches && expected->starts[low] < end) return kShared;
      }
    }
  }
  return kSame;
}

// A new list of an attribute of each tensor; null with Python's exception set.
Object* thetac_attributes(Object* list, Object* name, const Torch* torch) {
  const int64_t count = PyList_Size(list);
  Object* found = PyList_New(count);
  for (int64_t i = 0; found && i < count; ++i) {
    if (i % kTogether == 0) {
      Object* objects[kTogether];
      int64_t together = 0;
      while (together < kTogether && i + together < PyList_Size(list)) {
        objects[together] = PyList_GetItem(list, i + together);
        ++together;
      }
      fetch_handles(*torch, objects, together);
      fetch_tensors(*torch, objects, together);
    }
    Object* tensor = PyList_GetItem(list, i);
    Object* value = nullptr;
    if (tensor) {  // else an attribute that is a user's code has shortened the list
      Py_IncRef(tensor);
      value = PyObject_GetAttr(tensor, name);
      Py_DecRef(tensor);
    }
    if (!value) {
      Py_DecRef(found);
      return nullptr;
    }
    PyList_SetItem(found, i, value);
  }
  return found;
}

// A new list of what lies at some places of `values`, if `keys` has these very objects there; else an empty list.
Object* thetac_values_of(Object* keys, Object* values, Object* objects, const int64_t* places, const Torch* torch) {
  const intptr_t count = PyList_Size(objects), size = PyList_Size(keys);
  const Items of_keys(*torch, keys, places), of_values(*torch, values, places), of_objects(*torch, objects);
  for (intptr_t i = 0; i < count; ++i)
    if (places[i] >= size || of_keys[i] != of_objects[i]) return PyList_New(0);
  Object* found = PyList_New(count);
  for (intptr_t i = 0; found && i < count; ++i) {
    Object* value = of_values[i];
    Py_IncRef(value);
    PyList_SetItem(found, i, value);
  }
  return found;
}

// For each of several names, a new list of what each dictionary has under it; `none` for one that has nothing, and for
// what is no dictionary.
Object* thetac_items(Object* dictionaries, Object* names, Object* none, const Torch* torch) {
  const intptr_t count = PyList_Size(dictionaries), lists = PyList_Size(names);
  const Items of_dictionaries(*torch, dictionaries);
  Object* found = PyList_New(lists);
  for (intptr_t n = 0; found && n < lists; ++n) {
    Object* name = PyList_GetItem(names, n);
    Object* items = PyList_New(count);
    if (!items) {
      Py_DecRef(found);
      return nullptr;
    }
    for (intptr_t i = 0; i < count; ++i) {
      Object* value = PyDict_GetItemWithError(of_dictionaries[i], name);
      if (!value) {
        PyErr_Clear();
        value = none;
      }
      Py_IncRef(value);
      PyList_SetItem(items, i, value);
    }
    PyList_SetItem(found, n, items);
  }
  return found;
}

// Tells autograd that the tensors at some places of several lists were written. One without a version, as inference mode
// makes them, is left alone.
void thetac_bump_versions(Object* lists, const int64_t* places, int64_t count, const Torch* torch) {
  for (intptr_t n = 0; n < PyList_Size(lists); ++n) {
    const Items tensors(*torch, PyList_GetItem(lists, n), places);
    for (int64_t i = 0; i < count; ++i) {
      try {
        torch->bump_version(handle_of(*torch, tensors[i]));
      } catch (...) {
      }
    }
  }
}

// What a tensor is. Not 0 if it cannot be read.
int64_t thetac_describe(Object* object, const Torch* torch, Kind* out) {
  const Handle tensor = handle_of(*torch, object);
  return torch->layout(tensor, &out->layout) || torch->dtype(tensor, &out->dtype) ||
         torch->device_type(tensor, &out->device_type) || torch->device_index(tensor, &out->device_index);
}

// Numbers of the host, one at each address: float32, or float64 if wide. Whether all are equal; NaN equals nothing.
int64_t thetac_read_numbers(const int64_t* addresses, int64_t count, int64_t wide, double* out) {
  bool equal = true;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = wide ? *reinterpret_cast<const double*>(addresses[i]) : *reinterpret_cast<const float*>(addresses[i]);
    equal = equal && out[i] == out[0];
  }
  return equal;
}

// Writes to each address the number of its row.
void thetac_write_numbers(const int64_t* addresses, int64_t count, int64_t wide, const int64_t* rows,
                          const double* numbers) {
  for (int64_t i = 0; i < count; ++i) {
    const double number = numbers[rows[i]];
    if (wide)
      *reinterpret_cast<double*>(addresses[i]) = number;
    else
      *reinterpret_cast<float*>(addresses[i]) = static_cast<float>(number);
  }
}

}  // extern "C"
